import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** What to do about a damaged database. */
export const damageAdvice =
  'the database is damaged: stop the registry, then "holdfast db restore" puts a copy in its place, as of a backup, or "holdfast reindex" makes it anew from the files (docs/backup.md)'

/** SQLITE_CORRUPT and SQLITE_NOTADB; the low byte, because there are kinds of the first. */
const codes = [11, 26]
const words = /database disk image is malformed|file is not a database/

/** Whether SQLite says that the file is not what was written; errors of another thread have kept only their message. */
export function isDamaged(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('errcode' in error && codes.includes(Number(error.errcode) & 0xff)) || words.test(error.message)
}

/** The same error with what to do in its one line, and where in the program it happened left out: that is of no use. */
export function withAdvice(error: Error): Error {
  if (!error.message.includes(damageAdvice)) error.message += `; ${damageAdvice}`
  error.stack = error.message
  return error
}

/** Whether a database file that is there is damaged, by looking at all of it. @throws what else is wrong with it */
export function isDamagedFile(file: string): boolean {
  if (!existsSync(file)) return false
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file)
    return database.prepare('pragma quick_check(1)').get()?.quick_check !== 'ok'
  } catch (error) {
    if (isDamaged(error)) return true
    throw error
  } finally {
    database?.close()
  }
}
