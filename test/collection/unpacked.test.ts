import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Configuration } from '../../src/config/configuration.ts'
import { adminPassword, basic, useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { startTogether } from '../support/processes.ts'
import { need } from '../support/programs.ts'
import { pushImage } from '../support/registry.ts'
import { startS3 } from '../support/s3.ts'

const root = basic('root', adminPassword)

/** Pushes an image of 350,000 bytes of tar, and waits until that is told. */
async function expectMeasured(url: string, ask: () => Promise<{ sizeUnpacked: number | null; unpacked: string }>) {
  const layers = [gzipSync(Buffer.alloc(300_000, 'one')), gzipSync(Buffer.alloc(50_000, 'two'))]
  await pushImage(url, 'acme/app', 'v1', layers, root)
  await eventually(async () => (await ask()).unpacked !== 'waiting')
  assert.equal((await ask()).sizeUnpacked, 350_000)
}

async function inOneProcess(change: (configuration: Configuration) => void): Promise<void> {
  const { url, must, close } = await useAccounts(change)
  await expectMeasured(url, () => must('GET /repos/acme/app/-/images/v1'))
  await close(0)
}

describe('what layers take unpacked is found out', () => {
  it('where blobs are encrypted', () =>
    inOneProcess(({ storage }) => {
      storage.followTree = false
      storage.encryption = { enabled: true, keys: [{ kind: 'key', id: 'one', key: '11'.repeat(32) }] }
    }))

  it('in an object store, of what is asked for', { skip: need('versitygw') }, async () => {
    const s3 = await startS3()
    await s3.makeBucket('images')
    const secretAccessKey = 'a secret of forty characters, or nearly so'
    await inOneProcess(({ storage }) => {
      storage.objects = {
        ...{ kind: 's3', bucket: 'images', region: 'us-east-1', regionEndpoint: s3.url, redirectEndpoint: undefined },
        ...{ pathStyle: true, secure: false, dualStack: false, accelerate: false, fips: false, skipVerify: false },
        credentials: { accessKeyId: 'holdfast-test', secretAccessKey },
        ...{ prefix: '', encryption: undefined, storageClass: undefined, acl: undefined, userAgent: undefined },
        ...{ partSize: 8 << 20, multipartCopy: { threshold: 32 << 20, size: 32 << 20, concurrency: 10 } },
      }
    })
  })

  it('with PostgreSQL', { skip: withoutPostgres }, async () => {
    const postgres = await startPostgres()
    after(() => postgres.dispose())
    const databaseUrl = await postgres.createDatabase()
    await inOneProcess((configuration) => void (configuration.databaseUrl = databaseUrl))
  })

  it('whichever process is asked', async () => {
    const data = await mkdtemp(join(tmpdir(), 'holdfast-unpacked-'))
    const env = { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword }
    const registry = await startTogether(2, { data, env })
    try {
      const [, second] = await registry.connections()
      await expectMeasured(registry.url, async () => {
        const headers = { authorization: root }
        const { body } = await second!.call('GET', '/api/v1/repos/acme/app/-/images/v1', { headers })
        return JSON.parse(body.toString())
      })
    } finally {
      await registry.stop()
      await rm(data, { recursive: true })
    }
  })
})
