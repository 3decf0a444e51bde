import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { createApp } from '../../src/app.ts'
import { configurationFor } from '../support/configuration.ts'
import { makeTemporaryFolder } from './mounts.ts'
import { sha256 } from '../support/registry.ts'
import { type Client, createClient } from './client.ts'
import { type Image, makeImage, pushBlobBy, pushWhole } from './images.ts'

const day = 86_400_000
let now = Date.parse('2026-01-01T10:00:00Z')
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>
let app: Awaited<ReturnType<typeof createApp>>
let client: Client
const logged: string[] = []
let count = 0

before(async () => {
  folder = await makeTemporaryFolder()
  const log = (event: string, fields: Record<string, unknown> = {}) =>
    void logged.push(`${event} ${String(fields.digest)}`)
  app = await createApp({
    configuration: configurationFor(folder.path),
    log: { debug: log, info: log, warn: log, error: log },
    clock: { now: () => new Date(now) },
  })
  const { address } = await app.listen()
  const { port } = address as { port: number }
  client = createClient(`http://127.0.0.1:${port}`)
})
after(async () => {
  client.close()
  await app.close(0)
  await folder.dispose()
})

/** An image with a layer whose file is then treated badly. */
async function pushAndDamage(damage: (file: string) => Promise<void>): Promise<Image> {
  const image = makeImage(`app${count++}`, 'v1', randomBytes(600_000))
  assert.equal((await pushWhole(client, image)).status, 201)
  const hex = sha256(image.layer).slice(7)
  await damage(join(folder.path, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data'))
  return image
}

async function flipOneBit(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, 300_000)
  byte[0]! ^= 4
  await handle.write(byte, 0, 1, 300_000)
  await handle.close()
}

const damages: Record<string, (file: string) => Promise<void>> = {
  truncated: (file) => truncate(file, 300_000),
  'truncated to nothing': (file) => truncate(file, 0),
  'too long': (file) => truncate(file, 600_001),
  missing: (file) => rm(file),
}
for (const [what, damage] of Object.entries(damages)) {
  it(`answers 404 for a blob whose file is ${what}, and a new push heals it`, async () => {
    const image = await pushAndDamage(damage)
    const path = `/v2/${image.repository}/blobs/${sha256(image.layer)}`
    for (const method of ['HEAD', 'GET']) assert.equal((await client.request(method, path)).status, 404)
    const range = await client.request('GET', path, { headers: { range: 'bytes=0-10' } })
    assert.equal(range.status, 404)
    const mount = `/v2/other/blobs/uploads/?mount=${sha256(image.layer)}&from=${image.repository}`
    assert.equal((await client.request('POST', mount)).status, 202)
    assert.equal((await pushWhole(client, image)).status, 201)
    assert.deepEqual((await client.request('GET', path)).body, image.layer)
  })
}

it('finds a flipped bit within a day, moves the blob aside, and takes it again', async () => {
  const image = await pushAndDamage(flipOneBit)
  const digest = sha256(image.layer)
  const path = `/v2/${image.repository}/blobs/${digest}`
  for (const until = now + day; now < until; now += day / 24) await app.runJobs()
  await app.runJobs()
  assert.ok(logged.includes(`blob.quarantined ${digest}`))
  assert.deepEqual(await readdir(join(folder.path, 'holdfast/quarantine')), [digest])
  for (const method of ['HEAD', 'GET']) {
    const { status, body } = await client.request(method, path)
    assert.equal(status, 404)
    if (method === 'GET') assert.equal(JSON.parse(body.toString()).errors[0].code, 'BLOB_UNKNOWN')
  }
  assert.equal((await pushWhole(client, image)).status, 201)
  assert.deepEqual((await client.request('GET', path)).body, image.layer)
})

it('reads a whole blob every day and leaves it where it is', async () => {
  const image = await pushAndDamage(async () => {})
  now += 3 * day
  const marked = logged.length
  await app.runJobs()
  assert.deepEqual(
    logged.slice(marked).filter((line) => line.startsWith('blob.')),
    [],
  )
  const { body } = await client.request('GET', `/v2/${image.repository}/blobs/${sha256(image.layer)}`)
  assert.deepEqual(body, image.layer)
})

it('heals a flipped bit at once when the same bytes are pushed in full', async () => {
  const image = await pushAndDamage(flipOneBit)
  assert.equal((await pushBlobBy(client, 'elsewhere', image.layer, 'put')).status, 201)
  const { body } = await client.request('GET', `/v2/${image.repository}/blobs/${sha256(image.layer)}`)
  assert.deepEqual(body, image.layer)
})
