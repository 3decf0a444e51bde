import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { sha256, startRegistry } from '../support/registry.ts'
import { type Client, createClient, type Reply } from './client.ts'
import { makeImage, pushWhole } from './images.ts'

/** P17: SIGTERM while keep-alive clients pull, push, and send a body that takes its time. */
export async function runStops({ trials, progress }: { trials: number; progress?: (soFar: object) => void }) {
  const total = { trials: 0, answered: 0, afterSignal: 0, failed: 0, wrong: 0, exitCodes: {} as Record<string, number> }
  const details: string[] = []
  for (let trial = 0; trial < trials; trial++) {
    const server = await startRegistry()
    const client = createClient(server.url, { connections: 40 })
    const layer = randomBytes(1 << 20)
    const image = makeImage('app', 'v1', layer)
    if ((await pushWhole(client, image)).status !== 201) throw new Error('Cannot prepare')
    let signalled = false

    /** One request; false once the server takes no more connections. */
    const tell = async (what: string, request: Promise<Reply>, right: (reply: Reply) => boolean): Promise<boolean> => {
      try {
        const reply = await request
        total.answered++
        if (signalled) total.afterSignal++
        if (right(reply)) return true
        total.wrong++
        details.push(`${what}: ${reply.status}`)
        return true
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        if (signalled && code === 'ECONNREFUSED') return false
        total.failed++
        details.push(`${what}: ${message} (${signalled ? 'after' : 'before'} the signal)`)
        return false
      }
    }
    const pull = async () => {
      const blob = `/v2/app/blobs/${sha256(layer)}`
      while (
        (await tell('manifest', client.request('GET', '/v2/app/manifests/v1'), ({ body }) =>
          body.equals(image.manifest),
        )) &&
        (await tell('blob', client.request('GET', blob), ({ body }) => body.equals(layer)))
      );
    }
    const push = async (repository: string) => {
      for (let more = true; more;) {
        const content = randomBytes(20_000)
        const path = `/v2/${repository}/blobs/uploads/?digest=${sha256(content)}`
        more = await tell('push', client.request('POST', path, { body: content }), ({ status }) => status === 201)
      }
    }
    const running = Promise.all([
      ...Array.from({ length: 8 }, pull),
      ...Array.from({ length: 8 }, (_, index) => push(`r${index}`)),
      ...Array.from({ length: 4 }, () => tell('slow push', pushSlowly(client), ({ status }) => status === 201)),
    ])
    await sleep(100 + Math.random() * 500)
    signalled = true
    const code = await server.stop('SIGTERM')
    await running
    client.close()
    await server.dispose()
    total.trials++
    total.exitCodes[String(code)] = (total.exitCodes[String(code)] ?? 0) + 1
    progress?.({ ...total, details })
  }
  return { ...total, details }
}

/** A layer whose body takes two seconds. */
function pushSlowly(client: Client): Promise<Reply> {
  const parts = Array.from({ length: 20 }, () => randomBytes(10_000))
  const digest = sha256(Buffer.concat(parts))
  async function* slowly() {
    for (const part of parts) {
      yield part
      await sleep(100)
    }
  }
  return client.request('POST', `/v2/slow/blobs/uploads/?digest=${digest}`, {
    headers: { 'transfer-encoding': 'chunked' },
    body: Readable.from(slowly()),
  })
}
