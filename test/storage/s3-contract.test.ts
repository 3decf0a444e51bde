import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'
import { need } from '../support/programs.ts'
import { s3For, startS3 } from '../support/s3.ts'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import { testStorageDriver } from '../../src/storage/contract.ts'
import { createObjectStorage } from '../../src/storage/object/driver.ts'

describe('S3', { skip: need('versitygw') }, async () => {
  const server = await startS3()
  for (const [name, prefix] of [
    ['S3', ''],
    ['S3 below a folder', 'some/where/'],
  ] as const)
    testStorageDriver(name, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-states-'))
      const { uploadStates: states, close } = createSqliteStore({ folder, clock: { now: () => new Date() } })
      const bucket = randomUUID()
      await server.makeBucket(bucket)
      const store = s3For(server.url, bucket, { prefix })
      const options = { store, states, partSize: 8 << 20, uploads: 'holdfast/uploads', id: randomUUID, redirect: false }
      return {
        driver: createObjectStorage(options),
        dispose: async () => (await close(), rm(folder, { recursive: true })),
      }
    })
})
