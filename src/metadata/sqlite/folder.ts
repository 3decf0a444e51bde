import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Makes the folder of a database. @throws Error that says who cannot */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder)) // one by one: where the kernel lets nobody make one, in /proc, Node's own way goes round for ever
  try {
    mkdirSync(folder)
  } catch (cause) {
    if (existsSync(folder)) return // another was faster
    throw new Error(`Cannot make ${folder}: ${(cause as Error).message}; may this user write there?`, { cause })
  }
}

/**
 * Holds the folder for this process; the operating system lets go of it when the process ends, however it ends.
 * @throws Error when another has it, and goes on having it for `waitMs`
 */
export function lockFolder(folder: string, waitMs = 0): DatabaseSync {
  const lock = new DatabaseSync(join(folder, 'lock'), { timeout: waitMs })
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive')
    return lock
  } catch (cause) {
    lock.close()
    throw new Error(
      `Cannot open ${folder}: another Holdfast is using it; stop that one or choose another folder with --data`,
      { cause },
    )
  }
}

/** Makes the file of a database, if it is not there, for nobody else: it holds keys, hashes of passwords and private images. */
export function makeDatabaseFile(path: string): void {
  // One that is there is not opened: to close a file takes all locks of the process on it away, SQLite's as well.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600)) // its log gets the same mode
}

/** Makes the names in a folder durable; a folder above the store that this user may not read is somebody else's. */
export function syncFolder(path: string): void {
  try {
    const folder = openSync(path, 'r')
    fsyncSync(folder)
    closeSync(folder)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM'))) throw error
  }
}

/** Gives a database and its log another name, with the moment in it. */
export function putAside(path: string, moment: Date): void {
  const aside = `${path}.${moment.toISOString().replaceAll(':', '-')}`
  for (const part of ['', '-wal', '-shm']) if (existsSync(path + part)) renameSync(path + part, aside + part)
}
