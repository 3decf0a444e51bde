import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import { testStorageDriver } from '../../src/storage/contract.ts'
import { createObjectStorage } from '../../src/storage/object/driver.ts'
import { accountSignature, azureFor, startAzure } from '../support/azure.ts'
import { need } from '../support/programs.ts'

describe('Azure', { skip: need('azurite-blob') }, async () => {
  const server = await startAzure()
  for (const [name, more] of [
    ['Azure by the key of the account', {}],
    [
      'Azure by a signature, below a folder',
      { prefix: 'some/where/', credentials: { kind: 'sas', query: accountSignature() } },
    ],
  ] as const)
    testStorageDriver(name, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-states-'))
      const { uploadStates: states, close } = createSqliteStore({ folder, clock: { now: () => new Date() } })
      const container = randomUUID()
      await server.makeContainer(container)
      const store = azureFor(server.url, container, more)
      const options = { store, states, partSize: 8 << 20, uploads: 'holdfast/uploads', id: randomUUID, redirect: false }
      return {
        driver: createObjectStorage(options),
        dispose: async () => (await close(), rm(folder, { recursive: true })),
      }
    })
})
