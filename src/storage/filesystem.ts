import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { createFileOpener } from './file-content.ts'
import { PageCache } from './page-cache.ts'
import { createReceiver } from './receive.ts'

/**
 * Where small files are written before they get their name: not in `docker/`, where registry:2 would meet the rest of a crash, and
 * for each process elsewhere, also of other machines.
 */
const unnamed = `holdfast/unnamed-${hostname()}-${process.pid}`

/** A blob's file has a folder of its own, which goes with it. */
const blobName = '/data'

/** More than any manifest has: a larger link or manifest is damage, and not read into memory. */
const maxSmall = 8 << 20

/**
 * Keeps content in files below a folder. What is published is on the disk, names included, before the promise resolves. Nothing is
 * written or missed where the folder is no more what it was at the start, as when it is unmounted: that throws `EAGAIN`.
 */
export function createFilesystem(root: string): StorageDriver {
  const expectRoot = rootKeeper(root)
  const receive = createReceiver()
  const openFile = createFileOpener()
  const pathOf = (path: string) => join(root, path)
  const names = new PageCache({ slowMs: 2, least: 16, most: 128 })
  const durable = new Map<string, Promise<void>>()

  /**
   * Makes the name of a folder durable, its parents' names first. That a folder exists says nothing: a crash may have left it, or
   * another request be about to sync it. So each is synced once by this process, and whoever needs it waits for that.
   */
  function makeDurable(folder: string): Promise<void> {
    if (folder.length <= root.length) return Promise.resolve() // the root's own name was made durable at the start
    const begun = durable.get(folder)
    if (begun) return begun
    const parent = dirname(folder)
    const done = makeDurable(parent).then(() => sync(parent))
    durable.set(folder, done)
    done.catch(() => durable.delete(folder))
    return done
  }

  return {
    async stat(path) {
      const file = pathOf(path)
      const found = names.mayAnswer()
        ? names.call(() => orMissingNow(() => statSync(file, { throwIfNoEntry: false })))
        : await orMissing(stat(file))
      if (!found) expectRoot()
      else if (!found.isFile() && !found.isDirectory()) throw new Error(`Cannot use ${path}: it is no file`)
      return found?.isFile() ? { size: found.size, modifiedAt: found.mtime } : undefined
    },

    async open(path) {
      const file = await orMissing(open(pathOf(path), 'r'))
      if (!file) expectRoot()
      return file && openFile(file)
    },

    async append(path, offset, source, onChunk) {
      expectRoot()
      const file = await openForWriting(pathOf(path))
      try {
        return await receive(file, offset, source, onChunk)
      } finally {
        await file.close()
      }
    },

    async publish(from, to) {
      const [source, target] = [pathOf(from), pathOf(to)]
      expectRoot()
      try {
        await sync(source)
        await mkdir(dirname(target), { recursive: true })
        await rename(source, target)
      } catch (error) {
        // The kernel reports a failed write once: a second fsync would call pages durable that are lost.
        await rm(source, { force: true })
        throw error
      }
      const folder = dirname(target)
      await sync(folder) // the name of the content
      await sync(dirname(folder)) // the name of its folder, which is new as often as not
      await makeDurable(dirname(folder))
      expectRoot()
    },

    async delete(path) {
      const target = pathOf(path)
      // One call where `rm` takes two, or four for a folder.
      if (!(await isDone(unlink(target)))) await rm(target, { recursive: true, force: true })
      if (path.endsWith(blobName)) await isDone(rmdir(dirname(target)))
    },

    async list(path) {
      const folder = pathOf(path)
      const options = { withFileTypes: true } as const
      const found = names.mayAnswer()
        ? names.call(() => orMissingNow(() => readdirSync(folder, options)))
        : await orMissing(readdir(folder, options))
      if (!found) expectRoot()
      return found?.flatMap((entry) => (entry.isSymbolicLink() ? [] : [entry.name])) ?? []
    },

    async get(path) {
      const content = orMissingNow(() => {
        const found = statSync(pathOf(path))
        if (!found.isFile()) throw new Error(`Cannot read ${path}: it is no file`)
        const { size } = found
        if (size > maxSmall) throw new Error(`Cannot read ${path}: it has ${size} bytes, expected ${maxSmall} at most`)
        return readFileSync(pathOf(path))
      })
      if (!content) expectRoot()
      return content
    },

    async put(path, content, modifiedAt) {
      // In one step of the event loop: one name serves the process, and calls through the thread pool would take three times as long.
      const [target, source] = [pathOf(path), pathOf(unnamed)]
      expectRoot()
      inFolder(dirname(source), () => writeFileSync(source, content))
      utimesSync(source, modifiedAt, modifiedAt)
      inFolder(dirname(target), () => renameSync(source, target))
    },

    async alias(path, to) {
      await mkdir(dirname(pathOf(to)), { recursive: true })
      await link(pathOf(path), pathOf(to)).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
      })
    },
  }
}

/** Throws when the folder is another than it was at first: what is written there would be gone when the right one is back. */
function rootKeeper(root: string): () => void {
  mkdirSync(root, { recursive: true })
  const { dev, ino } = statSync(root)
  return () => {
    const now = statSync(root, { throwIfNoEntry: false })
    if (now?.dev === dev && now.ino === ino) return
    const message = `${root} is not the folder it was at the start: was it unmounted? Mount it again, or start Holdfast anew`
    throw Object.assign(new Error(message), { code: 'EAGAIN' })
  }
}

async function openForWriting(path: string): Promise<FileHandle> {
  const file = await orMissing(open(path, 'r+'))
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
    if (isMissing(error)) return undefined
    throw error
  }
}

function orMissingNow<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Does something in a folder, which is made where it is missing. */
function inFolder(folder: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!isMissing(error)) throw error
    mkdirSync(folder, { recursive: true })
    work()
  }
}

/** Whether it worked, or there was nothing to do. */
async function isDone(work: Promise<void>): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    return isMissing(error)
  }
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined)
const isMissing = (error: unknown) => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'
