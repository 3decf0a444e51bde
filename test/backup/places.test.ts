import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Configuration } from '../../src/config/configuration.ts'
import { openPlace } from '../../src/backup/place.ts'
import { createPostgresStore } from '../../src/metadata/postgres/store.ts'
import { eventually, useApp } from '../support/app.ts'
import { configurationFor } from '../support/configuration.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { need } from '../support/programs.ts'
import { pushIndex, pushText } from '../support/push.ts'
import { startS3 } from '../support/s3.ts'
import { backUpTo, blobFiles, clock, expectWhole, placeAt, restoreFrom, useFolder, verifyAt } from './tools.ts'

type Change = (configuration: Configuration) => void
const withoutS3 = need('versitygw')
const encrypted: Change = ({ storage }) => {
  storage.followTree = false
  storage.encryption = { enabled: true, keys: [{ kind: 'key', id: 'one', key: '11'.repeat(32) }] }
}

/** Backs up a registry of the first kind and serves it as the second. */
async function move(from: Change, to: Change, place: Awaited<ReturnType<typeof placeAt>>) {
  const app = await useApp(from)
  const url = `http://127.0.0.1:${app.port}`
  const images = [
    { repository: 'team/app', ...(await pushText(url, 'team/app', 'v1', 'one')) },
    { repository: 'team/all', ...(await pushIndex(url, 'team/all', 'v1', 'two')) },
  ]
  const configuration = configurationFor(join(app.folder, 'data'), from)
  const made = await backUpTo(place, configuration)
  assert.deepEqual([made.lacking, made.blobs], [[], 6])
  assert.equal((await backUpTo(place, configuration)).copied.copied, 0)
  assert.deepEqual((await verifyAt(place, configuration)).problems, [])
  await app.close(0)
  const folder = await useFolder()
  await restoreFrom(place, configurationFor(join(folder, 'data'), to))
  const restored = await useApp(to, { folder })
  await expectWhole(`http://127.0.0.1:${restored.port}`, images)
  assert.equal((await fetch(`http://127.0.0.1:${restored.port}/v2/team/app/manifests/v1`)).status, 200)
  await pushText(`http://127.0.0.1:${restored.port}`, 'team/app', 'v2', 'three')
  if (configuration.databaseUrl) await eventually(() => restored.logged().includes('volume.reconciled'))
  await restored.close()
  return { folder, configuration, images }
}

describe('a backup in a bucket', { skip: withoutS3 }, () => {
  it('is made of a folder and restored to one, and of a bucket to a bucket', async () => {
    const s3 = await startS3()
    const keys = {
      AWS_ACCESS_KEY_ID: 'holdfast-test',
      AWS_SECRET_ACCESS_KEY: 'a secret of forty characters, or nearly so',
    }
    Object.assign(process.env, keys)
    after(() => Object.keys(keys).forEach((name) => delete process.env[name]))
    for (const bucket of ['backups', 'images', 'restored']) await s3.makeBucket(bucket)
    const at = (address: string) => openPlace(address, { endpoint: s3.url, mayMake: true, clock })
    await move(
      () => {},
      () => {},
      await at('s3://backups/first'),
    )
    const inBucket =
      (bucket: string): Change =>
      ({ storage }) => {
        storage.redirect = false
        storage.objects = {
          ...{ kind: 's3', bucket, region: 'us-east-1', regionEndpoint: s3.url, redirectEndpoint: undefined },
          ...{ pathStyle: true, secure: false, dualStack: false, accelerate: false, fips: false, skipVerify: false },
          credentials: { accessKeyId: keys.AWS_ACCESS_KEY_ID, secretAccessKey: keys.AWS_SECRET_ACCESS_KEY },
          ...{ prefix: '', encryption: undefined, storageClass: undefined, acl: undefined, userAgent: undefined },
          ...{ partSize: 8 << 20, multipartCopy: { threshold: 32 << 20, size: 32 << 20, concurrency: 10 } },
        }
      }
    await move(inBucket('images'), inBucket('restored'), await at('s3://backups/second/'))
    const links = await readdir(join(s3.folder, 'restored/docker/registry/v2/repositories'), { recursive: true })
    assert.ok(links.some((path) => path.endsWith('tags/v2/current/link')))
    assert.ok(links.some((path) => path.endsWith('tags/v1/current/link')))
    await assert.rejects(at('s3://none/at/all'), /no such bucket/)
    await assert.rejects(at('https://example.com/x'), /expected a folder, or s3:/)
  })
})

describe('a backup of an encrypted registry', () => {
  it('stays encrypted, and needs the keys', async () => {
    const folder = await useFolder()
    const place = await placeAt(folder)
    const { configuration } = await move(encrypted, encrypted, place)
    assert.equal((await blobFiles(folder).catch(() => [])).length, 0)
    await assert.rejects(verifyAt(place, configurationFor(folder)), /they are encrypted/)
    const other = configurationFor(folder, (changed) => {
      encrypted(changed)
      changed.storage.encryption!.keys = [{ kind: 'key', id: 'two', key: '22'.repeat(32) }]
    })
    await assert.rejects(verifyAt(place, other), /key/)
    assert.deepEqual((await verifyAt(place, configuration, true)).problems, [])
  })
})

describe('a backup of a registry on PostgreSQL', { skip: withoutPostgres }, () => {
  it('is restored to PostgreSQL, and to SQLite', async () => {
    const postgres = await startPostgres()
    after(() => postgres.dispose())
    const at =
      (url: string): Change =>
      (configuration) => {
        configuration.databaseUrl = url
      }
    const [one, two] = [await postgres.createDatabase(), await postgres.createDatabase()]
    const folder = await useFolder()
    const place = await placeAt(folder)
    const { folder: restored, images } = await move(at(one), at(two), place)
    const links = await readdir(join(restored, 'data/docker/registry/v2/repositories'), { recursive: true })
    assert.ok(links.some((path) => path.endsWith('tags/v1/current/link')))
    await assert.rejects(restoreFrom(place, configurationFor(join(folder, 'data'), at(two))), /it is not empty/)
    const store = await createPostgresStore({ url: two, clock })
    assert.equal((await store.vault.list('backup')).length, 0)
    await store.close()
    const target = await useFolder()
    await restoreFrom(place, configurationFor(join(target, 'data')))
    const app = await useApp(() => {}, { folder: target })
    await expectWhole(`http://127.0.0.1:${app.port}`, images)
  })
})
