import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import { testStorageDriver } from '../../src/storage/contract.ts'
import { createObjectStorage } from '../../src/storage/object/driver.ts'
import { gcsFor, startGcs } from '../support/gcs.ts'
import { need } from '../support/programs.ts'

describe('Google Cloud Storage', { skip: need('fake-gcs-server') }, async () => {
  const server = await startGcs()
  for (const [name, more] of [
    ['GCS', {}],
    ['GCS below a folder', { prefix: 'some/where/' }],
  ] as const)
    testStorageDriver(name, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-states-'))
      const { uploadStates: states, close } = createSqliteStore({ folder, clock: { now: () => new Date() } })
      const bucket = randomUUID()
      await server.makeBucket(bucket)
      const store = gcsFor(server.url, bucket, more)
      const options = { store, states, partSize: 8 << 20, uploads: 'holdfast/uploads', id: randomUUID, redirect: false }
      return {
        driver: createObjectStorage(options),
        dispose: async () => (await close(), rm(folder, { recursive: true })),
      }
    })
})
