import assert from 'node:assert/strict'
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { useApp } from '../support/app.ts'
import { call } from '../support/client.ts'
import { configurationFor } from '../support/configuration.ts'
import { holdfast } from '../support/holdfast.ts'
import { pushText } from '../support/push.ts'
import {
  backUpTo,
  blobFiles,
  change,
  configurationOf,
  expectWhole,
  placeAt,
  push,
  restoreFrom,
  serve,
  urlOf,
  useFolder,
  verifyAt,
} from './tools.ts'

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
