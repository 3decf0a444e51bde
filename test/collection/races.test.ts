import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Readable } from 'node:stream'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { actor, createWorld, hour, type Process } from './world.ts'

const day = 24 * hour
const world = await createWorld({ graceMs: day, trashMs: 7 * day })
after(() => world.dispose())

/** Holds whoever comes by until it is opened. */
function createBarrier() {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const pass = async () => {
    reached.resolve()
    await opened.promise
  }
  return { pass, reached: reached.promise, open: opened.resolve }
}

function push({ registry }: Process, repository: string, text: string): Promise<void> {
  const content = Buffer.from(text)
  const chunk = { source: Readable.from([content]), length: content.length, range: undefined }
  return registry.uploads.push(repository, digestOf(content), chunk, actor)
}
async function pushManifest({ registry }: Process, repository: string, text: string): Promise<Digest> {
  const part = { mediaType: mediaTypes.image, digest: digestOf(Buffer.from(text)), size: text.length }
  const content = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.image, config: part, layers: [] }),
  )
  const request = { repository, content, contentType: undefined, digest: undefined, tags: [] }
  return (await registry.manifests.push(request, actor, async () => {})).digest
}
const isWhole = ({ registry }: Process, repository: string, text: string) =>
  registry.blobs.stat(repository, digestOf(Buffer.from(text))).then(
    () => true,
    () => false,
  )
/** A run, and one when its files are due. */
async function collect({ collector }: Process): Promise<void> {
  await collector.run()
  world.pass(11_000)
  await collector.run()
}
const normal = world.start()

describe('the grace of a blob', () => {
  it('begins when it was pushed, and anew when it is asked for, pushed or mounted', async () => {
    const again: Record<string, () => Promise<unknown>> = {
      asked: () => isWhole(normal, 'grace/a', 'asked'),
      pushed: () => push(normal, 'grace/a', 'pushed'),
      mounted: () => normal.registry.blobs.mount('grace/a', digestOf(Buffer.from('mounted')), ['grace/a'], actor),
    }
    for (const text of Object.keys(again)) await push(normal, 'grace/a', text)
    await push(normal, 'grace/a', 'forgotten')
    world.pass(day + hour)
    for (const renew of Object.values(again)) await renew()
    await collect(normal)
    for (const text of Object.keys(again)) {
      assert.ok(await isWhole(normal, 'grace/a', text), text)
      await pushManifest(normal, 'grace/a', text)
    }
    assert.ok(!(await isWhole(normal, 'grace/a', 'forgotten')))
    assert.ok(!(await world.blobFiles()).includes(digestOf(Buffer.from('forgotten'))))
    world.pass(2 * day)
    await collect(normal)
    for (const text of Object.keys(again)) assert.ok(await isWhole(normal, 'grace/a', text), text)
  })

  it('is not over while an upload to the repository goes on', async () => {
    await push(normal, 'grace/up', 'first of two')
    world.pass(2 * day)
    const upload = await normal.registry.uploads.start('grace/up', actor, 'sha256')
    await collect(normal)
    assert.equal((await world.store.blobs.repositoriesOf(digestOf(Buffer.from('first of two')))).length, 1)
    await normal.registry.uploads.cancel(upload)
    await collect(normal)
    assert.equal((await world.store.blobs.repositoriesOf(digestOf(Buffer.from('first of two')))).length, 0)
  })

  it('also of none is an hour from when the last manifest in the trash ended: somebody may have asked before', async () => {
    const hasty = await createWorld({ graceMs: 0, trashMs: 3 * hour })
    try {
      const process = hasty.start()
      await push(process, 'a', 'asked for')
      const digest = await pushManifest(process, 'a', 'asked for')
      hasty.pass(2 * hour)
      await process.registry.manifests.remove('a', { digest }, actor)
      hasty.pass(3 * hour - 1000)
      assert.ok(await isWhole(process, 'a', 'asked for'))
      hasty.pass(2000)
      for (let i = 0; i < 3; i++, hasty.pass(11_000)) await process.collector.run()
      await pushManifest(process, 'a', 'asked for')
    } finally {
      await hasty.dispose()
    }
  })

  it('does not matter where nobody serves', async () => {
    await push(normal, 'grace/none', 'unserved')
    const alone = await createWorld({ graceMs: 0, trashMs: 0 })
    const serving = alone.start()
    const stopped = alone.start({}, { isServing: false })
    await push(serving, 'a', 'unserved')
    await serving.collector.run()
    assert.equal((await alone.blobFiles()).length, 1)
    assert.deepEqual(await stopped.collector.run(), {
      untagged: 0,
      manifests: 0,
      early: 0,
      unlinked: 1,
      blobs: 1,
      bytes: 8,
      strays: 0,
      files: 1,
      waiting: [],
    })
    assert.deepEqual(await alone.blobFiles(), [])
    await alone.dispose()
  })
})

describe('who publishes bytes that are collected at the same moment', () => {
  /** A blob nobody needs, and the same pushed elsewhere up to the barrier. */
  async function meet(text: string, where: 'before' | 'after') {
    await push(normal, 'race/old', text)
    world.pass(2 * day)
    const barrier = createBarrier()
    const slow = world.start({
      async publish(from, to) {
        if (where === 'before') await barrier.pass()
        await world.files.publish(from, to)
        if (where === 'after') await barrier.pass()
      },
    })
    const pushing = push(slow, 'race/new', text)
    await barrier.reached
    return { barrier, pushing }
  }

  for (const where of ['before', 'after'] as const)
    it(`is told to push again when they went ${where === 'before' ? 'before they came' : 'after they came'}`, async () => {
      const text = `refused ${where}`
      const { barrier, pushing } = await meet(text, where)
      await collect(normal)
      assert.ok(!(await world.blobFiles()).includes(digestOf(Buffer.from(text))))
      barrier.open()
      await assert.rejects(pushing, { code: 'EAGAIN', message: /has to be pushed again/ })
      assert.ok(!(await isWhole(normal, 'race/new', text)))
      await push(normal, 'race/new', text)
      assert.ok(await isWhole(normal, 'race/new', text))
      await collect(normal)
      assert.ok(await isWhole(normal, 'race/new', text))
    })

  it('saves what is only condemned', async () => {
    const { barrier, pushing } = await meet('saved', 'after')
    await normal.collector.run()
    barrier.open()
    await pushing
    world.pass(11_000)
    await normal.collector.run()
    assert.ok(await isWhole(normal, 'race/new', 'saved'))
  })

  it('waits while they are being deleted', async () => {
    await push(normal, 'race/old', 'waited for')
    world.pass(2 * day)
    await normal.collector.run()
    world.pass(11_000)
    const barrier = createBarrier()
    const slow = world.start({
      async delete(path) {
        if (path.startsWith('docker/')) await barrier.pass()
        await world.files.delete(path)
      },
    })
    const collecting = slow.collector.run()
    await barrier.reached
    let isDone = false
    const pushing = push(normal, 'race/new', 'waited for').then(() => (isDone = true))
    await new Promise((resolve) => setTimeout(resolve, 60))
    assert.ok(!isDone)
    barrier.open()
    await Promise.all([pushing, collecting])
    assert.ok(await isWhole(normal, 'race/new', 'waited for'))
  })

  it('finds what a crash has left half deleted', async () => {
    await push(normal, 'race/old', 'half')
    world.pass(2 * day)
    await normal.collector.run()
    world.pass(11_000)
    const barrier = createBarrier()
    const dying = world.start({ delete: barrier.pass })
    const collecting = dying.collector.run().catch(() => 'crashed')
    await barrier.reached
    const killed = dying.kill()
    barrier.open()
    await killed
    assert.equal(await collecting, 'crashed')
    await world.store.collection.resume(world.now())
    const next = world.start()
    await push(next, 'race/new', 'half')
    await next.collector.run()
    assert.ok(await isWhole(next, 'race/new', 'half'))
  })
})

describe('the file of a manifest', () => {
  it('is written again when the manifest was pushed while it went', async () => {
    const digest = await pushManifestAlone('moved')
    await normal.registry.manifests.remove('files/a', { digest }, actor)
    world.pass(8 * day)
    await normal.collector.run()
    world.pass(11_000)
    const before = world.now() - 10_000
    assert.deepEqual(
      (await world.store.collection.beginDeleting([digest], before)).map((one) => one.digest),
      [digest],
    )
    await pushManifestAlone('moved')
    const [back] = await world.store.collection.finishDeleting([digest])
    assert.equal(back?.digest, digest)
    assert.equal(digestOf(Buffer.from(back.content)), digest)
  })

  async function pushManifestAlone(text: string): Promise<Digest> {
    await push(normal, 'files/a', text)
    return pushManifest(normal, 'files/a', text)
  }
})
