import assert from 'node:assert/strict'
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { call, digestOf } from '../support/client.ts'
import { type Inventory, inventoryOf } from '../support/inventory.ts'
import { startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { pushText } from '../support/push.ts'
import { pushBlob } from '../support/registry.ts'
import { check, makeVolume, serve } from './tools.ts'

// Layers whose link is gone from the tree, while manifests of the repository still refer to them.

let base: string
let healthy: Inventory
const [layer, loose] = [digestOf('layer of v1'), digestOf('nothing refers to it')]
before(async () => {
  base = await makeVolume()
  const { url, close } = await serve(base)
  for (const tag of ['v1', 'v2']) await pushText(url, 'app', tag, tag)
  await pushBlob(url, 'app', Buffer.from('nothing refers to it'))
  healthy = await inventoryOf(url)
  await close()
})

const layers = (data: string) => join(data, 'docker/registry/v2/repositories/app/_layers')
const linkOf = (data: string, digest: string) => join(layers(data), digest.replace(':', '/'), 'link')

describe('layers whose links are gone', () => {
  it('stay while a manifest refers to them, and get their links again', async () => {
    const data = await makeVolume(base)
    await rm(layers(data), { recursive: true })
    const { url, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), healthy)
    assert.equal((await call(url, 'HEAD', `/v2/app/blobs/${loose}`)).status, 404, 'nothing needs it: it was deleted')
    await close()
    await access(linkOf(data, layer))
    assert.deepEqual(await check(data), [])
  })

  it('are written anew by fsck', async () => {
    const data = await makeVolume(base)
    await rm(layers(data), { recursive: true })
    const found = await check(data)
    assert.deepEqual(new Set(found.map(({ problem }) => problem)), new Set(['is not as the database has it']))
    const hows = new Map(found.map(({ path, mend }) => [join(data, path), mend]))
    assert.equal(hows.get(linkOf(data, layer)), 'write the link')
    assert.equal(hows.get(linkOf(data, loose)), 'take it out of the database')
    assert.ok((await check(data, true)).every(({ mended }) => mended))
    assert.deepEqual(await check(data), [])
    const { url, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), healthy)
    await close()
  })

  it(
    'are whole again after registry:2 deleted them under its manifests',
    { skip: need('docker-registry') },
    async () => {
      const data = await makeVolume(base)
      const other = await startOther('docker-registry', data)
      for (const digest of [layer, loose])
        assert.equal((await call(other.url, 'DELETE', `/v2/app/blobs/${digest}`)).status, 202)
      await other.stop()
      const { url, close } = await serve(data)
      assert.deepEqual(await inventoryOf(url), healthy)
      assert.equal((await call(url, 'HEAD', `/v2/app/blobs/${loose}`)).status, 404)
      await close()
      const again = await startOther('docker-registry', data)
      assert.deepEqual(await inventoryOf(again.url), healthy)
      await again.stop()
    },
  )
})
