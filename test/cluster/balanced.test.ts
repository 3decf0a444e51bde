import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { call } from '../support/client.ts'
import { startDockerd } from '../support/daemons.ts'
import { pull, statusOf } from '../support/inventory.ts'
import { startNginx } from '../support/nginx.ts'
import { freePort } from '../support/pebble.ts'
import { type Postgres, startPostgres, withoutPostgres } from '../support/postgres.ts'
import { need } from '../support/programs.ts'
import { pushText, remove } from '../support/push.ts'
import { type RunningRegistry, sha256, startRegistry } from '../support/registry.ts'
import { s3Env, startS3 } from '../support/s3.ts'
import { createSandbox } from '../support/sandbox.ts'

const skip = withoutPostgres || need('versitygw', 'nginx')

describe('three nodes on one PostgreSQL and one bucket behind nginx', { skip }, async () => {
  const server = await startS3()
  const ports = [await freePort(), await freePort(), await freePort()]
  const url = await startNginx(ports)
  let postgres: Postgres
  let folder: string
  let start: (index: number) => Promise<RunningRegistry>
  const nodes: RunningRegistry[] = []
  before(async () => {
    postgres = await startPostgres()
    folder = await mkdtemp(join(tmpdir(), 'holdfast-cluster-'))
    const bucket = randomUUID()
    await server.makeBucket(bucket)
    const env = { ...s3Env(server.url, bucket), HOLDFAST_DATABASE_URL: await postgres.createDatabase() }
    start = (index) => startRegistry({ data: join(folder, String(index)), port: ports[index]!, env })
    for (const index of ports.keys()) nodes.push(await start(index))
  })
  after(async () => {
    for (const node of nodes) await node.stop()
    await postgres.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  /** Pushes, pulls and deletes through nginx until it is over; gives what was acknowledged and what was not answered as it should. */
  function load(worker: number, until: AbortSignal, tolerant: boolean) {
    const tags: Record<string, string> = {}
    const failures: string[] = []
    const repository = `load/${worker}${randomUUID().slice(0, 8)}`
    async function run(): Promise<void> {
      for (let i = 0; !until.aborted; i++) {
        try {
          const { digest } = await pushText(url, repository, `v${i}`, `${repository} ${i}`)
          tags[`v${i}`] = digest
          assert.equal(await pull(url, repository, `v${i}`), digest)
          if (i % 4 !== 0) continue
          delete tags[`v${i}`]
          await remove(url, repository, digest)
          assert.equal(await statusOf(url, repository, digest), 404)
        } catch (error) {
          failures.push(String(error))
          if (tolerant) await setTimeout(50)
        }
      }
    }
    return run().then(() => ({ repository, tags, failures }))
  }
  async function expectAll(loads: Awaited<ReturnType<typeof load>>[]): Promise<void> {
    for (const { repository, tags } of loads)
      for (const [tag, digest] of Object.entries(tags)) assert.equal(await pull(url, repository, tag), digest)
  }

  it('take the chunks of an upload by turns', async () => {
    const bytes = randomBytes(25 << 20)
    let { location } = (await call(url, 'POST', '/v2/turns/blobs/uploads/')).headers
    for (let at = 0; at < bytes.length; at += 3 << 20) {
      const reply = await call(url, 'PATCH', location!, { body: bytes.subarray(at, at + (3 << 20)) })
      assert.equal(reply.status, 202, String(reply.body))
      location = reply.headers.location
    }
    const reply = await call(url, 'PUT', `${location}&digest=${sha256(bytes)}`)
    assert.equal(reply.status, 201, String(reply.body))
    for (let i = 0; i < 3; i++) {
      const { status, body } = await call(url, 'GET', `/v2/turns/blobs/${sha256(bytes)}`)
      assert.deepEqual([status, sha256(body)], [200, sha256(bytes)])
    }
  })

  it('are one registry for docker', { skip: need('dockerd', 'docker', 'containerd', 'root') }, async () => {
    const sandbox = await createSandbox()
    try {
      const socket = await startDockerd(sandbox)
      const docker = (...args: string[]) => sandbox.run('docker', ['--host', socket, ...args])
      const image = `${new URL(url).host}/team/app:v1`
      await sandbox.write('context/noise', randomBytes(12 << 20))
      await sandbox.write('context/Dockerfile', 'FROM scratch\nCOPY noise /\nCMD ["/noise"]\n')
      sandbox.env.DOCKER_BUILDKIT = '0' // BuildKit needs a plugin that Debian's package lacks
      await docker('build', '--tag', image, sandbox.path('context'))
      await docker('push', image)
      const id = await docker('inspect', '--format', '{{.Id}}', image)
      await docker('rmi', image)
      await docker('pull', image)
      assert.equal(await docker('inspect', '--format', '{{.Id}}', image), id)
    } finally {
      await sandbox.dispose()
    }
  })

  it('fail no request while one after the other is stopped and started', async () => {
    const over = new AbortController()
    const loads = [0, 1, 2].map((worker) => load(worker, over.signal, false))
    for (const index of nodes.keys()) {
      await setTimeout(500)
      assert.equal(await nodes[index]!.stop(), 0)
      nodes[index] = await start(index)
    }
    over.abort()
    const done = await Promise.all(loads)
    assert.deepEqual(
      done.flatMap(({ failures }) => failures),
      [],
    )
    assert.ok(done.every(({ tags }) => Object.keys(tags).length > 5))
    await expectAll(done)
  })

  it('lose nothing that was acknowledged when one is killed', async () => {
    const over = new AbortController()
    const loads = [0, 1, 2, 3].map((worker) => load(worker, over.signal, true))
    for (const index of nodes.keys()) {
      await setTimeout(700)
      await nodes[index]!.stop('SIGKILL')
      await setTimeout(300)
      nodes[index] = await start(index)
    }
    over.abort()
    await expectAll(await Promise.all(loads))
  })

  it('answer 503 while PostgreSQL restarts, and go on', async () => {
    const { digest } = await pushText(url, 'away', 'v1', 'away')
    await postgres.stop('immediate')
    // Asked one by one: nginx says 502 by itself while it counts one of them as failed.
    for (const node of nodes) {
      const reply = await call(node.url, 'GET', '/v2/away/manifests/v1')
      assert.deepEqual([reply.status, reply.headers['retry-after']], [503, '1'])
    }
    await postgres.start()
    for (const node of nodes) assert.equal(await pull(node.url, 'away', 'v1'), digest)
  })
})
