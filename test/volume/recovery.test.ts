import assert from 'node:assert/strict'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { bootedAt } from '../../src/app.ts'
import type { StorageDriver } from '../../src/registry/ports/storage.ts'
import { openStores } from '../../src/stores.ts'
import { createVolume } from '../../src/volume/volume.ts'
import { holdfast } from '../support/holdfast.ts'
import { configurationFor } from '../support/configuration.ts'
import { inventoryOf, pull, statusOf } from '../support/inventory.ts'
import { startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { pushIndex, pushText, remove } from '../support/push.ts'
import { startRegistry } from '../support/registry.ts'
import { check, makeVolume, serve } from './tools.ts'

const repositories = (data: string) => join(data, 'docker/registry/v2/repositories')

/** Pushes, moves and deletes until the server is gone; what was acknowledged. */
async function loadUntilGone(url: string, worker: number) {
  const repository = `load/${worker}`
  const acknowledged = { tags: {} as Record<string, string>, gone: [] as string[] }
  for (let i = 0; ; i++) {
    try {
      const { digest } = await pushText(url, repository, `v${i}`, `${worker} ${i}`)
      acknowledged.tags[`v${i}`] = digest
      const moving = await pushText(url, repository, 'moving', `${worker} moving ${i}`)
      acknowledged.tags.moving = moving.digest
      if (i % 3 !== 0) continue
      delete acknowledged.tags[`v${i}`]
      await remove(url, repository, digest)
      acknowledged.gone.push(digest)
    } catch {
      return { repository, acknowledged }
    }
  }
}

/** Every tag that was acknowledged is there, or what was sent after it; what was deleted is not. */
async function expectAcknowledged(url: string, loads: Awaited<ReturnType<typeof loadUntilGone>>[]): Promise<void> {
  for (const { repository, acknowledged } of loads) {
    for (const [tag, digest] of Object.entries(acknowledged.tags)) {
      const found = await pull(url, repository, tag)
      if (tag !== 'moving') assert.equal(found, digest)
    }
    for (const digest of acknowledged.gone) assert.equal(await statusOf(url, repository, digest), 404)
  }
}

/** The stores of a volume that no registry runs on, and what keeps them alike. */
async function openParts(data: string) {
  const clock = { now: () => new Date() }
  const none = () => {}
  const log = { debug: none, info: none, warn: none, error: none }
  const { storage, store } = await openStores({ configuration: configurationFor(data), clock })
  const openVolume = (disk: StorageDriver, since = bootedAt(clock)) =>
    createVolume({ storage: disk, store, log, clock, bootedAt: since, follow: true })
  return { storage, store, openVolume }
}

async function killUnderLoad(data: string) {
  const registry = await startRegistry({ data })
  const loads = [0, 1, 2].map((worker) => loadUntilGone(registry.url, worker))
  while ((registry.output().match(/manifest\.pushed/g)?.length ?? 0) < 40)
    await new Promise((resolve) => setTimeout(resolve, 5))
  await registry.stop('SIGKILL')
  return Promise.all(loads)
}

describe('after kill -9 under load', { skip: need('docker-registry') }, () => {
  it('fsck --repair makes the volume one that registry:2 serves', async () => {
    const data = await makeVolume()
    const loads = await killUnderLoad(data)
    const repaired = await holdfast('fsck', '--data', data, '--repair')
    assert.equal(repaired.code, 0, repaired.output)
    const checked = await holdfast('fsck', '--data', data)
    assert.equal(checked.code, 0, checked.output)
    // Bytes of a push that was not acknowledged may be left over: they are told of, and nothing wrong.
    assert.match(checked.output, /^(?:.* bytes that no repository and no manifest knows; .*\n)*nothing is wrong\n$/)
    const other = await startOther('docker-registry', data)
    await expectAcknowledged(other.url, loads)
    const there = await inventoryOf(other.url)
    await other.stop()
    const { url, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), there)
    await close()
  })

  it('a start and a stop do so as well', async () => {
    const data = await makeVolume()
    const loads = await killUnderLoad(data)
    const again = await startRegistry({ data })
    await expectAcknowledged(again.url, loads)
    const here = await inventoryOf(again.url)
    await again.stop()
    assert.deepEqual(await check(data), [])
    const other = await startOther('docker-registry', data)
    assert.deepEqual(await inventoryOf(other.url), here)
    await other.stop()
  })
})

describe('the tree', () => {
  it('gets back what a power cut took of the last two minutes', async () => {
    const data = await makeVolume()
    const registry = await startRegistry({ data })
    await pushText(registry.url, 'app', 'v1', 'v1')
    const gone = await pushText(registry.url, 'app', 'gone', 'gone')
    await remove(registry.url, 'app', gone.digest)
    await registry.stop('SIGKILL')
    await rm(repositories(data), { recursive: true, force: true })
    const { url, close } = await serve(data)
    await pull(url, 'app', 'v1')
    await close()
    assert.deepEqual(await check(data), [])
  })

  it('keeps no request waiting for what it lacks after a crash, and brings nothing back', async () => {
    const data = await makeVolume()
    const registry = await startRegistry({ data })
    for (const tag of ['v1', 'gone']) await pushText(registry.url, 'app', tag, tag)
    await registry.stop()
    const { storage, store, openVolume } = await openParts(data)
    const [v1, gone] = await Promise.all(['v1', 'gone'].map((tag) => store.manifests.find('app', { tag })))
    await store.manifests.delete('app', gone!.digest, { name: '', address: '' }) // and the tree hears nothing of it: a crash
    let release = () => {}
    const stuck = new Promise<void>((resolve) => (release = resolve))
    const volume = openVolume({ ...storage, delete: (path) => stuck.then(() => storage.delete(path)) })
    await volume.begin()
    assert.equal((await volume.metadata.manifests.find('app', { tag: 'v1' }))?.digest, v1?.digest)
    assert.equal(await volume.metadata.manifests.find('app', { tag: 'gone' }), undefined)
    assert.equal(await volume.passed(), true)
    assert.equal(await volume.metadata.manifests.find('app', { digest: gone!.digest }), undefined)
    release()
    await volume.end()
    await store.close()
    assert.deepEqual(await check(data), [])
  })

  it('keeps what a power cut took right after a clean stop', async () => {
    const data = await makeVolume()
    const first = await serve(data)
    for (const tag of ['v1', 'v2']) await pushText(first.url, 'app', tag, tag)
    const before = await inventoryOf(first.url)
    await first.close()
    await rm(join(repositories(data), 'app/_manifests/tags/v1'), { recursive: true })
    const { storage, store, openVolume } = await openParts(data)
    const volume = openVolume(storage, new Date(Date.now() + 1000)) // the machine has started since
    await volume.begin()
    assert.equal(await volume.passed(), true)
    await volume.end()
    await store.close()
    assert.deepEqual(await check(data), [])
    const { url, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), before)
    await close()
  })

  it('is written anew by fsck --repair when it is gone, and until then nothing is lost', async () => {
    const data = await makeVolume()
    const first = await serve(data)
    await pushText(first.url, 'app', 'v1', 'v1')
    await pushIndex(first.url, 'multi', 'v1', 'multi')
    const before = await inventoryOf(first.url)
    await first.close()
    await rm(repositories(data), { recursive: true })
    for (const round of [1, 2]) {
      const { url, logged, close } = await serve(data)
      assert.deepEqual(await inventoryOf(url), before, `round ${round}`)
      assert.equal(logged.filter((line) => /volume\.gone.*holdfast fsck --repair/.test(line)).length, 1)
      await close()
    }
    const findings = await check(data, true)
    assert.ok(findings.length > 0 && findings.every(({ mended }) => mended))
    assert.deepEqual(await check(data), [])
    const { url, logged, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), before)
    assert.ok(!logged.some((line) => line.includes('volume.gone')))
    await close()
  })

  it('is brought up to date when it was not followed for a while', async () => {
    const data = await makeVolume()
    const followed = await serve(data)
    const old = await pushText(followed.url, 'app', 'old', 'old')
    await pushText(followed.url, 'app', 'moving', 'one')
    await followed.close()
    const alone = await serve(data, (configuration) => (configuration.storage.followTree = false))
    await remove(alone.url, 'app', old.digest)
    await pushText(alone.url, 'app', 'moving', 'two')
    await pushText(alone.url, 'other', 'v1', 'other')
    const inventory = await inventoryOf(alone.url)
    await alone.close()
    const restarted = await serve(data, (configuration) => (configuration.storage.followTree = false))
    assert.deepEqual(await inventoryOf(restarted.url), inventory)
    await restarted.close()
    const again = await serve(data)
    assert.deepEqual(await inventoryOf(again.url), inventory)
    await again.close()
    await rm(join(data, 'holdfast'), { recursive: true })
    const { url, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), inventory, 'the tree alone says the same')
    await close()
  })
})

describe('holdfast reindex', () => {
  it('makes the database anew from the tree, with push times and history', async () => {
    const data = await makeVolume()
    const { url, close } = await serve(data)
    for (const text of ['one', 'two', 'three']) await pushText(url, 'app', 'moving', text)
    await pushIndex(url, 'team/multi', 'v1', 'multi')
    const before = await inventoryOf(url)
    await close()
    const facts = await factsOf(data)
    await rm(join(data, 'holdfast'), { recursive: true })
    const { code, output } = await holdfast('reindex', '--data', data)
    assert.equal(code, 0, output)
    assert.match(output, /volume\.reconciled mode=both repositories=2 blobs=\d+ manifests=6 tags=2/)
    assert.deepEqual(await factsOf(data), facts)
    const again = await serve(data)
    assert.deepEqual(await inventoryOf(again.url), before)
    await again.close()
  })

  async function factsOf(data: string) {
    const { store } = await openStores({ configuration: configurationFor(data), clock: { now: () => new Date() } })
    const facts = [await store.volume.of('app'), await store.volume.of('team/multi')]
    const moves = await store.history.moves('app', 'moving', { limit: 100 })
    const history = moves.map(({ digest, at }) => ({ digest, at }))
    await store.close()
    return { facts, history }
  }
})

describe('the commands', () => {
  it('do nothing where there is no volume', async () => {
    const nowhere = join(await makeVolume(), 'typo')
    for (const command of ['fsck', 'reindex']) {
      const { code, output } = await holdfast(command, '--data', nowhere)
      assert.equal(code, command === 'fsck' ? 2 : 1)
      assert.match(output, /There is no volume in .*typo; name its folder with --data DIR/)
      await assert.rejects(stat(nowhere), { code: 'ENOENT' })
    }
  })

  it('end with 2 and a clear line while a registry runs, and with 1 when something is wrong', async () => {
    const data = await makeVolume()
    const { url, close } = await serve(data)
    const { digest } = await pushText(url, 'app', 'v1', 'v1')
    for (const command of ['fsck', 'reindex']) {
      const { code, output } = await holdfast(command, '--data', data)
      assert.equal(code, command === 'fsck' ? 2 : 1)
      assert.match(output, /another Holdfast is using it; stop that one/)
    }
    await close()
    const link = join(repositories(data), `app/_manifests/revisions/${digest.replace(':', '/')}/link`)
    await rm(link)
    const { code, output } = await holdfast('fsck', '--data', data)
    assert.equal(code, 1)
    assert.match(output, /link: tag v1 points to a manifest without a link \(--repair would: write the link\)\n1 found/)
    const json = await holdfast('fsck', '--data', data, '--json')
    assert.equal(JSON.parse(json.output).mended, false)
    assert.equal((await holdfast('fsck', '--data', data, '--repair')).code, 0)
  })
})
