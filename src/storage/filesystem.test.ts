import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { testStorageDriver } from './contract.ts'
import { createFilesystem } from './filesystem.ts'

testStorageDriver('the file system', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-storage-'))
  return { driver: createFilesystem(root), dispose: () => rm(root, { recursive: true }) }
})

describe('a folder that others write to as well', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-storage-'))
  const driver = createFilesystem(root)
  after(() => rm(root, { recursive: true }))

  it('does not lead out of itself or round in circles by symbolic links', async () => {
    await mkdir(join(root, 'tree/inside'), { recursive: true })
    await symlink('/', join(root, 'tree/outside'))
    await symlink('.', join(root, 'tree/loop'))
    assert.deepEqual(await driver.list('tree'), ['inside'])
  })

  it('may hold a link of gigabytes, which is not read', async () => {
    await writeFile(join(root, 'link'), '')
    await truncate(join(root, 'link'), 4e9)
    await assert.rejects(driver.get('link'), /Cannot read link: it has 4000000000 bytes, expected 8388608 at most/)
  })
})
