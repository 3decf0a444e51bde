import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { startRegistry } from '../support/registry.ts'
import { createClient } from './client.ts'

const size = 8 << 20

/** P10: the highest resident memory (MB) while so many clients push, then pull, a blob of 8 MiB each. */
export async function runMemory(parallel = 200) {
  // As bin/holdfast starts it: with the compiled program kept, which the first start writes.
  const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/compile') }
  await (await startRegistry({ env })).dispose()
  const server = await startRegistry({ env })
  const client = createClient(server.url, { connections: parallel, timeoutMs: 120_000 })
  const common = randomBytes(size - 8)
  const contents = Array.from({ length: parallel }, (_, index) => {
    const own = Buffer.alloc(8)
    own.writeUInt32BE(index)
    return { own, digest: `sha256:${createHash('sha256').update(own).update(common).digest('hex')}` }
  })
  const idle = await highest(server.pid)
  try {
    const pushes = await Promise.all(
      contents.map(async ({ own, digest }) => {
        const begun = await client.request('POST', '/v2/parallel/blobs/uploads/')
        return putParts(`${server.url}${begun.headers.location}&digest=${digest}`, [own, common])
      }),
    )
    const push = await highest(server.pid)
    await writeFile(`/proc/${server.pid}/clear_refs`, '5') // the mark starts again from what is used now
    const pulls = await Promise.all(contents.map(({ digest }) => pull(`${server.url}/v2/parallel/blobs/${digest}`)))
    return {
      parallel,
      pushed: pushes.filter((status) => status === 201).length,
      pulled: pulls.filter((digest, index) => digest === contents[index]!.digest).length,
      idleMegabytes: idle,
      pushMegabytes: push,
      pullMegabytes: await highest(server.pid),
    }
  } finally {
    client.close()
    await server.dispose()
  }
}

async function highest(pid: number): Promise<number> {
  const kilobytes = /VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kilobytes) / 1024)
}

function putParts(url: string, parts: Buffer[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method: 'PUT', headers: { 'content-length': size } })
    sent.on('error', reject)
    sent.on('response', (reply) => reply.resume().on('end', () => resolve(reply.statusCode)))
    for (const part of parts) sent.write(part)
    sent.end()
  })
}

function pull(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    const sent = httpRequest(url, (reply) => {
      reply.on('data', (chunk: Buffer) => hash.update(chunk))
      reply.on('error', reject)
      reply.on('end', () => resolve(`sha256:${hash.digest('hex')}`))
    })
    sent.on('error', reject)
    sent.end()
  })
}
