import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Configuration } from '../../src/config/configuration.ts'
import { createAsked } from '../../src/features/asked.ts'
import { openAccounts } from '../../src/metadata/accounts-alone.ts'
import { openStores } from '../../src/stores.ts'
import { eventually, type TestApp, useApp } from '../support/app.ts'
import { call } from '../support/client.ts'
import { configurationFor } from '../support/configuration.ts'
import { holdfast } from '../support/holdfast.ts'
import { pushIndex, pushText, remove } from '../support/push.ts'
import { backUpTo, blobFiles, expectWhole, type Image, placeAt, restoreFrom, useFolder, verifyAt } from './tools.ts'

const hour = 3_600_000
const urlOf = ({ port }: TestApp) => `http://127.0.0.1:${port}`
const change = (configuration: Configuration) => {
  configuration.storage.delete = true
  configuration.collection.graceMs = 0
  configuration.collection.fusePercent = 100
  configuration.trash.keepMs = 0
}
const configurationOf = ({ folder }: { folder: string }) => configurationFor(join(folder, 'data'), change)

async function push(app: TestApp, count: number, name: string): Promise<Image[]> {
  const images: Image[] = []
  for (let i = 0; i < count; i++) {
    const repository = `${name}/${i % 3}`
    images.push({ repository, digest: (await pushText(urlOf(app), repository, `v${i}`, `${name} ${i}`)).digest })
  }
  const { digest } = await pushIndex(urlOf(app), name, 'all', name)
  return [...images, { repository: name, digest }]
}

/** A server over what was restored. */
async function serve(folder: string): Promise<TestApp> {
  return useApp(change, { folder })
}

describe('a backup of a registry that serves', () => {
  it('holds all that was acknowledged before it, beside pushes, deletions and collections', async () => {
    const time = { ms: 0 }
    const shifted = { now: () => new Date(Date.now() + time.ms) }
    const app = await useApp(change, { clock: shifted })
    const database = await openAccounts({ url: undefined, folder: join(app.folder, 'data/holdfast'), clock: shifted })
    const asked = createAsked<{ force: boolean }>({ vault: database.vault, clock: shifted, kind: 'collection' })
    async function collect(): Promise<void> {
      const { id } = await asked.ask({ id: randomUUID(), force: true })
      await eventually(async () => (await asked.report())?.id === id)
    }
    const [kept, going] = [await push(app, 15, 'kept'), await push(app, 40, 'going')]
    for (const { repository, digest } of going.slice(0, 20)) await remove(urlOf(app), repository, digest)
    time.ms += 2 * hour // all that is deleted from now on is nobody's at once
    const folder = await useFolder()
    const fast = await placeAt(join(folder, 'backup'))
    const place = {
      ...fast,
      publish: async (from: string, to: string) => (await setTimeout(60), await fast.publish(from, to)),
    }
    let isOver = false
    const pushing = (async () => {
      for (let i = 0; !isOver; i++) {
        await pushText(urlOf(app), 'late/app', `v${i}`, `late ${i}`)
        const old = going[20 + i]!
        if (i < 20) await remove(urlOf(app), old.repository, old.digest)
      }
    })()
    const collecting = (async () => {
      while (!isOver) await collect()
    })()
    const made = await backUpTo(place, configurationOf(app), { clock: shifted })
    isOver = true
    await Promise.all([pushing, collecting])
    assert.deepEqual([made.lacking, made.problems], [[], []])
    const stored = (await blobFiles(join(app.folder, 'data'))).length
    time.ms += 60_000 // what was condemned meanwhile
    await collect()
    assert.ok((await blobFiles(join(app.folder, 'data'))).length < stored)
    await database.close()
    assert.deepEqual((await verifyAt(place, configurationOf(app))).problems, [])
    const target = { folder: join(folder, 'restored') }
    await restoreFrom(place, configurationOf(target))
    const restored = await serve(target.folder)
    await expectWhole(urlOf(restored), kept)
    await eventually(async () => restored.logged().includes('volume.reconciled'))
    const links = await readdir(join(target.folder, 'data/docker/registry/v2/repositories'), { recursive: true })
    assert.ok(links.filter((path) => path.endsWith('/link')).length > 45)
    await restored.close(0)
    const { output, code } = await holdfast('fsck', '--data', join(target.folder, 'data'))
    assert.equal(code, 0, output)
  })

  it('keeps bytes that are condemned meanwhile, and lets them go when it is over', async () => {
    const folder = await useFolder()
    const { store } = await openStores({ configuration: configurationOf({ folder }), clock: { now: () => new Date() } })
    const digest = `sha256:${'ab'.repeat(32)}` as const
    const now = Date.now() + 1000
    await store.collection.condemnFiles([{ digest, size: 1 }])
    await store.vault.add('backup', 'hold', { text: '{}', endsAt: new Date(Date.now() + hour) })
    assert.deepEqual(await store.collection.condemned(now, 10), [])
    assert.deepEqual(await store.collection.beginDeleting([digest], now), [])
    await store.vault.delete('backup', 'hold')
    assert.equal((await store.collection.condemned(now, 10)).length, 1)
    assert.equal((await store.collection.beginDeleting([digest], now)).length, 1)
    await store.close()
  })
})

describe('one backup after another', async () => {
  const app = await useApp(change)
  const folder = await useFolder()
  const place = await placeAt(folder)
  const configuration = configurationOf(app)

  it('copies what is new, and lets old snapshots go with what only they have', async () => {
    const first = await push(app, 5, 'first')
    const one = await backUpTo(place, configuration)
    assert.equal(one.copied.copied, one.blobs)
    const second = await push(app, 5, 'second')
    const two = await backUpTo(place, configuration)
    assert.deepEqual([two.copied.copied, two.blobs], [two.blobs - one.blobs, 28])
    const both = await useFolder()
    await restoreFrom(place, configurationFor(join(both, 'data'), change), { snapshot: one.name })
    const old = await serve(both)
    await expectWhole(urlOf(old), first)
    assert.equal((await call(urlOf(old), 'GET', `/v2/second/manifests/${second.at(-1)!.digest}`)).status, 404)
    await old.close(0)

    const before = (await blobFiles(folder)).length
    await writeFile(join(folder, 'holdfast/snapshots/2000.db'), 'left by a crash')
    const nobodys = join(folder, 'docker/registry/v2/blobs/sha256/ab', 'ab'.repeat(32), 'data')
    await (await placeAt(folder)).put(nobodys.slice(folder.length + 1), Buffer.from('old'), new Date())
    await backUpTo(place, configuration, { keep: 1 })
    assert.equal((await readdir(join(folder, 'holdfast/snapshots'))).length, 2)
    assert.equal((await blobFiles(folder)).length, before)
    assert.deepEqual((await verifyAt(place, configuration)).problems, [])
  })

  it('is of one registry, and one at a time', async () => {
    const other = await useApp(change)
    await push(other, 1, 'other')
    await assert.rejects(backUpTo(place, configurationOf(other)), /of another registry/)
    const [one, two] = await Promise.allSettled([backUpTo(place, configuration), backUpTo(place, configuration)])
    assert.match(String((one.status === 'rejected' ? one : (two as PromiseRejectedResult)).reason), /is under way/)
    await backUpTo(place, configuration)
  })

  it('tells of a blob that is damaged in the registry, and does not take it for good', async () => {
    const { digest } = await pushText(urlOf(app), 'hurt/app', 'v1', 'hurt')
    const before = new Set(await blobFiles(folder))
    const files = await blobFiles(join(app.folder, 'data'))
    const hurt = await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const))
    const [layer] = hurt.find(([, text]) => text === 'layer of hurt')!
    await writeFile(layer, 'layer 0f hurt')
    const made = await backUpTo(place, configuration)
    assert.equal(made.lacking.length, 1)
    assert.match(made.problems[0]!, /^sha256:\w+ is damaged hurt\/app:v1$/)
    assert.equal((await blobFiles(folder)).filter((file) => !before.has(file)).length, 1)
    assert.match((await verifyAt(place, configuration)).problems[0]!, /is missing hurt\/app:v1/)
    const target = await useFolder()
    const to = configurationFor(join(target, 'data'), change)
    await assert.rejects(restoreFrom(place, to), /1 blobs cannot be restored.*--partial/)
    await restoreFrom(place, to, { isPartial: true })
    await pushText(urlOf(app), 'hurt/app', 'v1', 'hurt')
    const healed = await backUpTo(place, configuration)
    assert.deepEqual(healed.lacking, [])
    await expectWhole(urlOf(app), [{ repository: 'hurt/app', digest }])
  })
})

describe('a backup that is damaged', async () => {
  const app = await useApp(change)
  const images = await push(app, 4, 'team')
  const configuration = configurationOf(app)
  const folder = await useFolder()
  const place = await placeAt(folder)
  const { name } = await backUpTo(place, configuration)
  const [flipped, cut, missing] = await blobFiles(folder)

  it('says what is damaged and what breaks, and is mended by another one', async () => {
    const bytes = await readFile(flipped!)
    bytes[0]! ^= 1
    await writeFile(flipped!, bytes)
    await writeFile(cut!, (await readFile(cut!)).subarray(1))
    await rm(missing!)
    const quick = await verifyAt(place, configuration, true)
    assert.equal(quick.wrong, 2)
    const { wrong, problems } = await verifyAt(place, configuration)
    assert.equal(wrong, 3)
    assert.deepEqual(
      problems
        .map((line) =>
          line
            .replace(/^\S+ /, '')
            .replace(/\d+ bytes instead of \d+/, 'N bytes')
            .replace(/ team.*/, ' …'),
        )
        .toSorted(),
      ['has N bytes …', 'is damaged …', 'is missing …'],
    )
    const { code, output } = await holdfast('backup', 'verify', folder)
    assert.equal(code, 1, output)
    assert.match(output, /is damaged \(needed by team/)
    assert.equal((await backUpTo(place, configuration, { recheck: true })).copied.copied, 3)
    assert.deepEqual((await verifyAt(place, configuration)).problems, [])
  })

  it('is none without its database', async () => {
    const file = join(folder, `holdfast/snapshots/${name}.db`)
    await appendFile(file, 'x')
    await assert.rejects(verifyAt(place, configuration, false, name), /its database is not what was written/)
    await rm(file)
    await assert.rejects(verifyAt(place, configuration, false, name), /its database is missing/)
    await writeFile(join(folder, `holdfast/snapshots/${name}.json`), '{')
    await assert.rejects(verifyAt(place, configuration, false, name), /says nothing/)
    assert.equal((await holdfast('backup', 'verify', folder, '--at', name)).code, 2)
    const { code, output } = await holdfast('backup', 'ls', folder)
    assert.deepEqual([code, output.split('\n').length], [1, 3], output)
    assert.deepEqual((await verifyAt(place, configuration)).problems, [])
    const before = (await blobFiles(folder)).length
    await assert.rejects(backUpTo(place, configuration, { keep: 9 }), /Backed up, but nothing old was removed/)
    assert.equal((await blobFiles(folder)).length, before)
  })

  it('is copied no faster than it may be', async () => {
    const slow = await placeAt(await useFolder())
    const begun = performance.now()
    const { bytes } = await backUpTo(slow, configuration, { limit: 500 })
    assert.ok(performance.now() - begun > (bytes / 500) * 900)
  })

  it('is restored only where nothing is', async () => {
    await assert.rejects(restoreFrom(place, configuration), /holdfast.db is there already/)
    const target = await useFolder()
    const data = join(target, 'data')
    await (await placeAt(data)).put('docker/registry/v2/x', Buffer.from('x'), new Date())
    await assert.rejects(restoreFrom(place, configurationFor(data, change)), /there are images already/)
    await expectWhole(urlOf(app), images)
  })
})

describe('what was killed', async () => {
  const app = await useApp(change)
  const blob = Buffer.alloc(8 << 20, 'x')
  const { pushImage } = await import('../support/registry.ts')
  const layers = Array.from({ length: 12 }, (_, i) => Buffer.concat([Buffer.from(String(i)), blob]))
  const { digest } = await pushImage(urlOf(app), 'big', 'v1', layers)
  const folder = await useFolder()
  const [backup, target] = [join(folder, 'backup'), join(folder, 'restored/data')]
  const main = join(import.meta.dirname, '../../src/main.ts')

  /** Runs a command and kills it when so many blobs are there. */
  async function killAt(count: number, where: string, ...args: string[]): Promise<void> {
    const child = spawn(process.execPath, [main, ...args], { stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await eventually(async () => child.exitCode !== null || (await blobFiles(where).catch(() => [])).length >= count)
    child.kill('SIGKILL')
    await ended
  }

  it('goes on where it was', async () => {
    await killAt(2, backup, 'backup', backup, '--data', join(app.folder, 'data'))
    const there = new Map(
      await Promise.all((await blobFiles(backup)).map(async (file) => [file, (await stat(file)).ino] as const)),
    )
    const { code, output } = await holdfast('backup', backup, '--data', join(app.folder, 'data'))
    assert.equal(code, 0, output)
    for (const [file, ino] of there) assert.equal((await stat(file)).ino, ino, 'was copied again')
    await killAt(2, target, 'backup', 'restore', backup, '--data', target)
    const second = await holdfast('backup', 'restore', backup, '--data', target)
    assert.ok(second.code === 0 || /there already/.test(second.output), second.output)
    assert.deepEqual(await readdir(join(backup, 'holdfast/uploads')).catch(() => []), [])
    const restored = await serve(join(folder, 'restored'))
    await expectWhole(urlOf(restored), [{ repository: 'big', digest }])
  })
})
