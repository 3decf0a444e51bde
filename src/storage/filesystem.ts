import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { createFileOpener } from './file-content.ts'
import { createReceiver } from './receive.ts'

/** Keeps content in files below a folder. What is published is on the disk, names included, before the promise resolves. */
export function createFilesystem(root: string): StorageDriver {
  const receive = createReceiver()
  const openFile = createFileOpener()
  const pathOf = (path: string) => join(root, path)

  return {
    async stat(path) {
      const found = await orMissing(stat(pathOf(path)))
      return found?.isFile() ? { size: found.size } : undefined
    },

    async open(path) {
      const file = await orMissing(open(pathOf(path), 'r'))
      return file && openFile(file)
    },

    async append(path, offset, source, onChunk) {
      const file = await openForWriting(pathOf(path))
      try {
        return await receive(file, offset, source, onChunk)
      } finally {
        await file.close()
      }
    },

    async publish(from, to) {
      const [source, target] = [pathOf(from), pathOf(to)]
      await sync(source)
      const folder = dirname(target)
      const firstNew = await mkdir(folder, { recursive: true })
      await rename(source, target)
      // A new name is durable once its folder is; so is each new folder on the way.
      await sync(folder)
      if (firstNew)
        for (let made = folder; made.length >= firstNew.length; made = dirname(made)) await sync(dirname(made))
    },

    async delete(path) {
      await rm(pathOf(path), { recursive: true, force: true })
    },

    async list(path) {
      const names = (await orMissing(readdir(pathOf(path)))) ?? []
      const entries = await Promise.all(
        names.map(async (name) => ({ name, found: await orMissing(stat(join(root, path, name))) })),
      )
      return entries.flatMap(({ name, found }) => (found ? [{ name, modifiedAt: found.mtime }] : []))
    },
  }
}

async function openForWriting(path: string): Promise<FileHandle> {
  const flags = 'r+'
  const file = await orMissing(open(path, flags))
  if (file) return file
  await mkdir(dirname(path), { recursive: true })
  return open(path, 'w+')
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** The result, or undefined where there is no such file or folder. */
async function orMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined
    throw error
  }
}
