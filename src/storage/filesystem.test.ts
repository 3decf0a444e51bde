import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { testStorageDriver } from './contract.ts'
import { createFilesystem } from './filesystem.ts'

testStorageDriver('the file system', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-storage-'))
  return { driver: createFilesystem(root), dispose: () => rm(root, { recursive: true }) }
})

describe('a folder that another takes the place of', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-storage-'))
  const [root, away] = [join(parent, 'root'), join(parent, 'away')]
  const driver = createFilesystem(root)
  after(() => rm(parent, { recursive: true }))

  for (const [what, replace] of [
    ['nothing', async () => {}],
    ['an empty one', () => mkdir(root)],
  ] as const)
    it(`is not mistaken for it: ${what}`, async () => {
      await driver.put('link', Buffer.from('x'), new Date())
      await driver.append('upload', 0, Readable.from([Buffer.from('y')]), () => {})
      await rename(root, away)
      await replace()
      const again = { code: 'EAGAIN', message: /is not the folder it was at the start/ }
      await assert.rejects(driver.stat('link'), again)
      await assert.rejects(driver.get('absent'), again)
      await assert.rejects(driver.open('link'), again)
      await assert.rejects(driver.list('tree'), again)
      await assert.rejects(driver.put('link', Buffer.from('x'), new Date()), again)
      await assert.rejects(
        driver.append('another', 0, Readable.from([Buffer.from('y')]), () => {}),
        again,
      )
      await assert.rejects(driver.publish('upload', 'blob'), again)
      await rm(root, { recursive: true, force: true })
      await rename(away, root)
      assert.equal((await driver.stat('link'))?.size, 1)
      await driver.publish('upload', 'blob')
    })
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

  it('may hold what is no file, which is neither read nor taken for missing', async () => {
    const server = createServer().listen(join(root, 'pipe'))
    await once(server, 'listening')
    await assert.rejects(driver.stat('pipe'), /Cannot use pipe: it is no file/)
    await assert.rejects(driver.get('pipe'), /Cannot read pipe: it is no file/)
    server.close()
  })

  it('may hold a link of gigabytes, which is not read', async () => {
    await writeFile(join(root, 'link'), '')
    await truncate(join(root, 'link'), 4e9)
    await assert.rejects(driver.get('link'), /Cannot read link: it has 4000000000 bytes, expected 8388608 at most/)
  })
})
