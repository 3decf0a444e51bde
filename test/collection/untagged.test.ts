import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { actor, createWorld, hour } from './world.ts'

const day = 24 * hour

describe('the collection of untagged manifests', async () => {
  const world = await createWorld({ graceMs: day, trashMs: 7 * day, untagged: true })
  after(() => world.dispose())
  const { registry, collector } = world.start()
  const repository = 'team/app'

  async function pushIndex(about: string, children: { digest: Digest; size: number }[], tags: string[] = []) {
    const manifests = children.map((child) => ({ mediaType: mediaTypes.index, ...child }))
    const annotations = { about }
    const content = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests, annotations }),
    )
    const request = { repository, content, contentType: undefined, digest: undefined, tags }
    const { digest } = await registry.manifests.push(request, actor, async () => {})
    return { digest, size: content.length }
  }
  const isThere = ({ digest }: { digest: Digest }) =>
    registry.manifests.get(repository, { digest }).then(
      () => true,
      () => false,
    )

  it('lets one that is pushed again be, as if it were new: what refers to it may be on its way', async () => {
    const alone = await pushIndex('alone', [])
    const child = await pushIndex('child', [])
    const forgotten = await pushIndex('forgotten', [])
    await pushIndex('parent', [child], ['v1'])
    world.pass(2 * day)
    await collector.run() // what keeps the child is known
    assert.equal(await isThere(forgotten), false)
    const late = await pushIndex('late', [])
    await registry.manifests.remove(repository, { tag: 'v1' }, actor)
    world.pass(2 * day)
    for (const about of ['child', 'late']) await pushIndex(about, [])
    await collector.run()
    assert.equal(await isThere(alone), false)
    for (const one of [child, late]) assert.ok(await isThere(one))
    await pushIndex('for both', [child, late], ['v2'])
    world.pass(2 * day)
    await collector.run()
    for (const one of [child, late]) assert.ok(await isThere(one))
  })

  it('takes all of a deep one at once', async () => {
    const all = [await pushIndex('0', [])]
    for (let depth = 1; depth < 6; depth++) all.unshift(await pushIndex(String(depth), [all[0]!]))
    await pushIndex('top', [all[0]!], ['v3'])
    world.pass(2 * day)
    await collector.run() // what keeps each is known
    for (const one of all) assert.ok(await isThere(one))
    await registry.manifests.remove(repository, { tag: 'v3' }, actor)
    world.pass(2 * day)
    await collector.run()
    for (const one of all) assert.equal(await isThere(one), false)
  })
})
