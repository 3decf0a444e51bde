import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { pushImage, sha256, startRegistry } from '../support/registry.ts'
import { createClient } from './client.ts'
import { pushBlobBy } from './images.ts'
import { injectAt, traceAll } from './inject.ts'
import { unable } from './mounts.ts'

it('does not take bytes for stored whose fsync failed once', { skip: unable('strace') }, async () => {
  const server = await startRegistry({ env: { UV_THREADPOOL_SIZE: '1' } })
  const client = createClient(server.url)
  try {
    await pushBlobBy(client, 'warm', Buffer.from('up'), 'put')
    const content = randomBytes(1000)
    const begun = await client.request('POST', '/v2/app/blobs/uploads/')
    const fault = await injectAt(server.pid, { thread: 'files', call: 'fdatasync', n: 1 }, 'EIO')
    const last = `${begun.headers.location}&digest=${sha256(content)}`
    assert.equal((await client.request('PUT', last, { body: content })).status, 500)
    await fault.detach()
    // The kernel reports a failed write once: the pages count as clean from then on, so a second fsync would prove nothing.
    assert.equal((await client.request('PUT', last)).status, 400)
    assert.equal((await pushBlobBy(client, 'app', content, 'put')).status, 201)
  } finally {
    client.close()
    await server.dispose()
  }
})

it(
  'brings folders to the disk that a crash left between their making and their fsync',
  { skip: unable('strace') },
  async () => {
    const content = randomBytes(100)
    const hex = sha256(content).slice(7)
    const server = await startRegistry()
    const client = createClient(server.url)
    try {
      const blobs = join(server.data, 'docker/registry/v2/blobs')
      await mkdir(join(blobs, 'sha256', hex.slice(0, 2)), { recursive: true })
      const trace = await traceAll(server.pid, 'fdatasync,fsync')
      assert.equal((await pushBlobBy(client, 'app', content, 'post')).status, 201)
      const synced = (await trace.detach()).map((line) => /sync\(\d+<(.*?)>/.exec(line)?.[1])
      for (const folder of [server.data, join(server.data, 'docker'), blobs, join(blobs, 'sha256')])
        assert.ok(synced.includes(folder), `${folder} is not synced`)
    } finally {
      client.close()
      await server.dispose()
    }
  },
)

it('never serves a damaged manifest, and a new push of it heals it', async () => {
  const first = await startRegistry()
  const layer = Buffer.from('a layer')
  const { digest, manifest } = await pushImage(first.url, 'app', 'v1', [layer])
  await first.stop()
  const database = new DatabaseSync(join(first.data, 'holdfast/holdfast.db'))
  const damaged = Buffer.from(manifest)
  damaged[20]! ^= 1
  database.prepare('update manifest set content = ? where digest = ?').run(damaged, digest)
  database.close()
  const second = await startRegistry({ data: first.data })
  try {
    const read = async () => {
      const reply = await fetch(`${second.url}/v2/app/manifests/v1`)
      return { status: reply.status, body: Buffer.from(await reply.arrayBuffer()) }
    }
    assert.equal((await read()).status, 500)
    const again = await fetch(`${second.url}/v2/app/manifests/v1`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
      body: manifest,
    })
    assert.equal(again.status, 201)
    assert.deepEqual(await read(), { status: 200, body: manifest })
  } finally {
    await second.dispose()
  }
})
