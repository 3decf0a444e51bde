import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Configuration } from '../../src/config/configuration.ts'
import { eventually, useApp } from '../support/app.ts'
import { call, clientOf, digestOf, makeImage, pathOf } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { type RunningRegistry, startRegistry } from '../support/registry.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-encrypted-'))
after(() => rm(folder, { recursive: true, force: true }))
const [first, second] = ['11'.repeat(32), '22'.repeat(32)]
let count = 0

interface Key {
  id: string
  key: string
}

const withKeys = (keys: Key[], more = ''): Record<string, string> => ({
  REGISTRY_HOLDFAST_STORAGE_FOLLOWTREE: 'false',
  REGISTRY_HOLDFAST_STORAGE_ENCRYPTION: `{keys: ${JSON.stringify(keys)}${more}}`,
})
const one = withKeys([{ id: 'one', key: first }])
const newData = () => join(folder, String(count++))
const blobFile = (data: string, digest: string) =>
  join(data, `holdfast/encrypted/docker/registry/v2/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`)

/** Runs a registry for as long as `use` takes. */
async function serving<T>(data: string, env: Record<string, string>, use: (it: RunningRegistry) => Promise<T>) {
  const registry = await startRegistry({ data, env })
  try {
    return await use(registry)
  } finally {
    await registry.stop()
  }
}
const client = (registry: RunningRegistry) => clientOf(() => registry, { restart: async () => {} })

async function pull(registry: RunningRegistry, digest: string, range?: string): Promise<Buffer> {
  const headers: Record<string, string> = range ? { Range: `bytes=${range}` } : {}
  const reply = await call(registry.url, 'GET', `/v2/app/blobs/${digest}`, { headers })
  assert.equal(reply.status, range ? 206 : 200)
  return reply.body
}

/** All files below a folder. */
async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
}

describe('a registry that encrypts', () => {
  it('serves what was pushed, whole and in part, and stores none of it as it is', async () => {
    const data = newData()
    const bytes = Buffer.from('the secret of the layer '.repeat(20_000))
    await serving(data, one, async (registry) => {
      const digest = await client(registry).pushBlob('app', bytes)
      assert.equal((await call(registry.url, 'HEAD', `/v2/app/blobs/${digest}`)).headers['content-length'], '480000')
      assert.ok((await pull(registry, digest)).equals(bytes))
      assert.ok((await pull(registry, digest, '65530-131080')).equals(bytes.subarray(65_530, 131_081)))
      assert.ok((await pull(registry, digest, '-5')).equals(bytes.subarray(-5)))
      const upload = await client(registry).startUpload('app')
      await call(registry.url, 'PATCH', upload, { body: Buffer.from('a secret that waits') })
    })
    for (const file of await filesIn(data)) assert.ok(!(await readFile(file)).includes('secret'), file)
  })

  it('goes on with an upload in odd pieces after restarts and crashes', { timeout: 60_000 }, async () => {
    const data = newData()
    const bytes = randomBytes(900_001)
    let registry = await startRegistry({ data, env: one })
    const upload = await client(registry).startUpload('app')
    let at = 0
    for (const length of [1, 70_000, 65_536, 65_535, 200_000]) {
      const part = bytes.subarray(at, at + length)
      const headers = { 'Content-Range': `${at}-${at + length - 1}` }
      assert.equal((await call(registry.url, 'PATCH', upload, { body: part, headers })).status, 202)
      at += length
      // Another one is on its way when the process is killed.
      const { host } = registry
      const [hostname, port] = host.split(':')
      const broken = request({
        hostname,
        port,
        method: 'PATCH',
        path: upload,
        headers: { 'Content-Length': 3_000_000 },
      })
      broken.on('error', () => undefined)
      broken.write(randomBytes(2_000_000))
      const begun = at
      await eventually(async () => {
        const names = await readdir(join(data, 'holdfast/uploads')).catch(() => [])
        const sizes = await Promise.all(names.map((name) => readFile(join(data, 'holdfast/uploads', name))))
        return sizes.some((content) => content.length > begun + 100_000)
      })
      await registry.stop('SIGKILL')
      broken.destroy()
      registry = await startRegistry({ data, env: one })
      const stands = await call(registry.url, 'GET', upload)
      assert.equal(stands.headers.range, `0-${at - 1}`)
    }
    const digest = digestOf(bytes)
    const last = await call(registry.url, 'PUT', `${upload}&digest=${digest}`, { body: bytes.subarray(at) })
    assert.equal(last.status, 201, String(last.body))
    assert.ok((await pull(registry, digest)).equals(bytes))
    await registry.stop('SIGKILL')
    await serving(data, one, async (again) => assert.ok((await pull(again, digest)).equals(bytes)))
    const left = await readdir(join(data, 'holdfast/uploads'))
    assert.ok(left.length <= 1, 'what the first crash left is swept later')
  })

  it('keeps every blob it acknowledged when it is killed under load', { timeout: 60_000 }, async () => {
    const data = newData()
    const acknowledged = new Map<string, Buffer>()
    for (let round = 0; round < 3; round++) {
      const registry = await startRegistry({ data, env: one })
      const push = async (): Promise<void> => {
        for (;;) {
          const bytes = randomBytes(Math.floor(Math.random() * 200_000))
          const path = pathOf(await call(registry.url, 'POST', '/v2/app/blobs/uploads/'))
          await call(registry.url, 'PATCH', path, { body: bytes })
          const digest = digestOf(bytes)
          const done = await call(registry.url, 'PUT', `${path}&digest=${digest}`)
          if (done.status === 201) acknowledged.set(digest, bytes)
        }
      }
      const pushing = Array.from({ length: 4 }, () => push().catch(() => undefined))
      const enough = acknowledged.size + 20
      await eventually(() => acknowledged.size >= enough)
      await registry.stop('SIGKILL')
      await Promise.all(pushing)
    }
    await serving(data, one, async (registry) => {
      for (const [digest, bytes] of acknowledged) assert.ok((await pull(registry, digest)).equals(bytes))
    })
  })

  it('serves plain blobs of before, and encrypted ones when it is switched off', async () => {
    const data = newData()
    const [plain, encrypted] = [randomBytes(100_000), randomBytes(100_000)]
    const old = await serving(data, {}, (registry) => client(registry).pushBlob('app', plain))
    const young = await serving(data, one, async (registry) => {
      assert.ok((await pull(registry, old)).equals(plain))
      return client(registry).pushBlob('app', encrypted)
    })
    const off = withKeys([{ id: 'one', key: first }], ', enabled: false')
    await serving(data, off, async (registry) => {
      assert.ok((await pull(registry, old)).equals(plain))
      assert.ok((await pull(registry, young)).equals(encrypted))
      const image = await makeImage(client(registry), 'app')
      assert.equal((await client(registry).putManifest('app', 'v1', image)).status, 201)
    })
    await assert.rejects(
      serving(data, {}, async () => {}),
      (error: Error) => {
        assert.match(error.message, /they are encrypted .*; name their keys in holdfast\.storage\.encryption\.keys/)
        assert.equal(error.message.trim().split('\n').length, 1)
        return true
      },
    )
  })

  it('tells of a wrong or missing key in one line and touches nothing', async () => {
    const data = newData()
    await serving(data, one, (registry) => client(registry).pushBlob('app', 'x'))
    const before = await filesIn(data)
    for (const [keys, message] of [
      [[{ id: 'one', key: second }], /key "one" .* is another key than the one blobs were encrypted with/],
      [[{ id: 'two', key: second }], /key "one" .* is missing, and blobs are encrypted with it/],
    ] as const)
      await assert.rejects(
        serving(data, withKeys([...keys]), async () => {}),
        (error: Error) => {
          assert.match(error.message, message)
          assert.equal(error.message.trim().split('\n').length, 1, error.message)
          assert.ok(!error.message.includes(second))
          return true
        },
      )
    assert.deepEqual(await filesIn(data), before)
  })

  it('changes its key while it runs', async () => {
    const data = newData()
    const bytes = randomBytes(100_000)
    const digest = await serving(data, one, (registry) => client(registry).pushBlob('app', bytes))
    const both = [
      { id: 'two', key: second },
      { id: 'one', key: first },
    ]
    const config = join(folder, 'config.yml')
    await writeFile(
      config,
      `version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: ${data}\nholdfast:\n  storage:\n    followtree: false\n    encryption:\n      keys: ${JSON.stringify(both)}\n`,
    )
    await serving(data, withKeys(both), async (registry) => {
      assert.ok((await pull(registry, digest)).equals(bytes))
      const { code, output } = await holdfast('keys', 'rewrap', config)
      assert.equal(code, 0, output)
      assert.match(output, /^1 key of the volume wrapped anew, all are by "two" now\nno longer needed: "one"\n$/)
      assert.ok((await pull(registry, digest)).equals(bytes))
    })
    await serving(data, withKeys([{ id: 'two', key: second }]), async (registry) =>
      assert.ok((await pull(registry, digest)).equals(bytes)),
    )
  })
})

describe('damage to encrypted blobs', () => {
  const encrypt = (configuration: Configuration) => {
    configuration.storage.followTree = false
    configuration.storage.encryption = { enabled: true, keys: [{ id: 'one', kind: 'key', key: first }] }
  }
  const flip = async (file: string, at: number) => {
    const content = await readFile(file)
    content[at]! ^= 1
    await writeFile(file, content)
  }

  it('cuts the answer, is found by the scrub, and healed by a push', { timeout: 30_000 }, async () => {
    let now = Date.parse('2026-01-01T10:00:00Z')
    const app = await useApp(encrypt, { clock: { now: () => new Date(now) } })
    const at = { url: `http://127.0.0.1:${app.port}`, port: app.port }
    const registry = clientOf(() => at, { restart: async () => {} })
    const bytes = randomBytes(300_000)
    const digest = await registry.pushBlob('app', bytes)
    const file = blobFile(join(app.folder, 'data'), digest)
    await flip(file, 200_000)
    const path = `/v2/app/blobs/${digest}`
    await assert.rejects(registry.call('GET', path), { code: 'ECONNRESET' })
    assert.match(app.logged(), /encrypted content is damaged: chunk 3/)
    const start = await registry.call('GET', path, { headers: { Range: 'bytes=0-99' } })
    assert.ok(start.body.equals(bytes.subarray(0, 100)))
    await app.runJobs()
    now += 86_400_000
    await eventually(async () => (await app.runJobs(), app.logged().includes('blob.quarantined')))
    assert.equal((await registry.call('GET', path)).status, 404)
    await registry.pushBlob('app', bytes)
    assert.ok((await registry.call('GET', path)).body.equals(bytes))
  })

  it('is told by fsck, which has nothing to say about what is whole', { timeout: 30_000 }, async () => {
    const data = newData()
    const digest = await serving(data, one, async (registry) => {
      const image = await makeImage(client(registry), 'app')
      assert.equal((await client(registry).putManifest('app', 'v1', image)).status, 201)
      return client(registry).pushBlob('app', randomBytes(100_000))
    })
    const run = async (...args: string[]) => {
      const config = join(folder, 'fsck.yml')
      const keys = JSON.stringify([{ id: 'one', key: first }])
      await writeFile(
        config,
        `version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: ${data}\nholdfast:\n  storage:\n    followtree: false\n    encryption:\n      keys: ${keys}\n`,
      )
      return holdfast('fsck', config, ...args)
    }
    assert.deepEqual(await run(), { code: 0, output: 'nothing is wrong\n' })
    await truncate(blobFile(data, digest), 50_000)
    const found = await run()
    assert.equal(found.code, 1)
    assert.match(found.output, /has 49\d{3} bytes, the database says 100000 .*move it to holdfast\/quarantine/)
    assert.match((await run('--repair')).output, /done: move it/)
    await serving(data, one, async (registry) => {
      assert.equal((await call(registry.url, 'GET', `/v2/app/blobs/${digest}`)).status, 404)
    })
  })
})
