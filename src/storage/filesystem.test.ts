import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testStorageDriver } from './contract.ts'
import { createFilesystem } from './filesystem.ts'

testStorageDriver('the file system', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-storage-'))
  return { driver: createFilesystem(root), dispose: () => rm(root, { recursive: true }) }
})
