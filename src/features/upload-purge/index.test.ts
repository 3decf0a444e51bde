import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { defaultConfiguration } from '../../../test/support/defaults.ts'
import { sealedVault } from '../../keyring/sealed-vault.ts'
import { createSqliteStore } from '../../metadata/sqlite/store.ts'
import { createLog } from '../../platform/log.ts'
import { uploadPath } from '../../registry/paths.ts'
import { createFilesystem } from '../../storage/filesystem.ts'
import { uploadPurge } from './index.ts'

const day = 86_400_000
const data = await mkdtemp(join(tmpdir(), 'holdfast-purge-'))
let time = Date.now()
const clock = { now: () => new Date(time) }
const storage = createFilesystem(data)
const metadata = createSqliteStore({ folder: join(data, 'holdfast'), clock })
after(async () => {
  await metadata.close()
  await rm(data, { recursive: true })
})
let logged = ''
const log = createLog('info', (line) => (logged += line), clock)
const configuration = defaultConfiguration()
const { uploadPurge: settings } = configuration.storage
const [job] = uploadPurge({
  configuration,
  storage,
  metadata,
  vault: metadata.vault,
  secrets: sealedVault(metadata.vault, undefined),
  accounts: metadata.accounts,
  collection: metadata.collection,
  history: metadata.history,
  rules: metadata.rules,
  sizes: metadata.sizes,
  quotas: metadata.quotas,
  volume: { passed: async () => true },
  clock,
  log,
}).jobs!

async function receive(id: string): Promise<void> {
  await storage.append(uploadPath(id), 0, Readable.from([Buffer.from('bytes')]), () => undefined)
}
const start = (id: string) => metadata.uploads.create({ id, repository: 'a/b', algorithm: 'sha256', owner: '' })
const purge = (signal = new AbortController().signal) => job!.run(signal)
const isThere = async (id: string) => (await storage.stat(uploadPath(id))) !== undefined

describe('the upload purge', () => {
  it('leaves an upload alone for a week, then removes session and bytes', async () => {
    await start('slow')
    await receive('slow')
    time += 7 * day - 1000
    await purge()
    assert.ok(await metadata.uploads.find('slow'))
    assert.ok(await isThere('slow'))
    time += 2000
    await purge()
    assert.equal(await metadata.uploads.find('slow'), undefined)
    assert.equal(await isThere('slow'), false)
    assert.match(logged, /upload.purged upload=slow/)
  })

  it('removes sessions that never received a byte', async () => {
    await start('empty')
    time += 7 * day + 1000
    await purge()
    assert.equal(await metadata.uploads.find('empty'), undefined)
  })

  it('removes bytes without a session after a day, not while they may still be coming', async () => {
    time = Date.now()
    await receive('orphan')
    await purge()
    assert.ok(await isThere('orphan'))
    time += day + 60_000
    await start('known')
    await receive('known')
    await purge()
    assert.equal(await isThere('orphan'), false)
    assert.ok(await isThere('known'))
  })

  it('stops when it is told to', async () => {
    await start('kept')
    time += 8 * day
    await purge(AbortSignal.abort())
    assert.ok(await metadata.uploads.find('kept'))
  })

  it('removes nothing in a dry run, and says what it would', async () => {
    await start('dry')
    await receive('dry')
    time += 8 * day
    const uploads = { ...settings, dryRun: true }
    const dry = { ...configuration, storage: { ...configuration.storage, uploadPurge: uploads } }
    await uploadPurge({
      configuration: dry,
      storage,
      metadata,
      vault: metadata.vault,
      secrets: sealedVault(metadata.vault, undefined),
      accounts: metadata.accounts,
      collection: metadata.collection,
      history: metadata.history,
      rules: metadata.rules,
      sizes: metadata.sizes,
      quotas: metadata.quotas,
      volume: { passed: async () => true },
      clock,
      log,
    }).jobs![0]!.run(new AbortController().signal)
    assert.match(logged, /upload.would-be-purged upload=dry/)
    assert.ok(await metadata.uploads.find('dry'))
    assert.ok(await isThere('dry'))
  })

  it('keeps to the configured age and interval, and is no job when switched off', async () => {
    const jobsWith = (more: Partial<typeof settings>) => {
      const storageSettings = { ...configuration.storage, uploadPurge: { ...settings, ...more } }
      return uploadPurge({
        configuration: { ...configuration, storage: storageSettings },
        storage,
        metadata,
        vault: metadata.vault,
        secrets: sealedVault(metadata.vault, undefined),
        accounts: metadata.accounts,
        collection: metadata.collection,
        history: metadata.history,
        rules: metadata.rules,
        sizes: metadata.sizes,
        quotas: metadata.quotas,
        volume: { passed: async () => true },
        clock,
        log,
      }).jobs!
    }
    assert.equal(jobsWith({ intervalMs: 120_000 })[0]!.everySeconds, 120)
    assert.deepEqual(jobsWith({ enabled: false }), [])
    await start('young')
    time += 5000
    await jobsWith({ ageMs: 1000 })[0]!.run(new AbortController().signal)
    assert.equal(await metadata.uploads.find('young'), undefined)
  })

  it('bears being run twice at once', async () => {
    await receive('twice')
    await Promise.all([purge(), purge()])
    assert.equal(await metadata.uploads.find('kept'), undefined)
    assert.equal(await isThere('twice'), false)
  })
})
