import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteStore } from '../../metadata/sqlite/store.ts'
import { testStorageDriver } from '../contract.ts'
import { createFilesystem } from '../filesystem.ts'
import { createEncryptedStorage } from './driver.ts'
import { openKeyring } from '../../keyring/keyring.ts'
import { keyFiles } from './key-files.ts'

testStorageDriver('the file system, encrypted', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-encrypted-'))
  const clock = { now: () => new Date() }
  const { uploadStates: states, close } = createSqliteStore({ folder: join(root, `holdfast-${randomUUID()}`), clock })
  const inner = createFilesystem(join(root, 'volume'))
  const keys = [{ kind: 'key' as const, id: 'one', key: '11'.repeat(32) }]
  const keyring = await openKeyring({ place: keyFiles(inner), keys, clock, mayMake: true })
  return {
    driver: createEncryptedStorage({ inner, states, keyring, isOn: true, uploads: 'holdfast/uploads' }),
    dispose: async () => (await close(), rm(root, { recursive: true })),
  }
})
