import { copyFileSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createExecute, migrate, versionOf } from '../sqlite/dialect.ts'
import { isDamaged, isDamagedFile } from '../sqlite/damaged.ts'
import { lockFolder, makeFolder, putAside, syncFolder } from '../sqlite/folder.ts'
import { schemaVersion } from '../sql/schema.ts'
import type { Source, Target } from './copy.ts'

/** Gives the database of a folder, which no registry may use meanwhile, to `work`. */
export async function withFolder<Result>(folder: string, work: (file: string) => Promise<Result>): Promise<Result> {
  makeFolder(folder)
  const lock = lockFolder(folder)
  try {
    return await work(join(folder, 'holdfast.db'))
  } finally {
    lock.close()
  }
}

/** Reads a database file as of now, also while a registry writes to it. @throws Error when it is none, or a newer one */
export async function fromSqlite<Result>(file: string, work: (source: Source) => Promise<Result>): Promise<Result> {
  if (!existsSync(file)) throw new Error(`there is no such file: ${file}`)
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    if (versionOf(database) !== schemaVersion) return await fromOlder(file, database, work)
    database.exec('begin')
    const execute = createExecute(database)
    return await work({ execute: async (statement) => execute(statement) })
  } catch (error) {
    if (!isDamaged(error) || (error as Error).message.includes(file)) throw error
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error })
  } finally {
    database.close()
  }
}

/** The same of a database that an older Holdfast wrote: a copy of it is brought to the present schema first. */
async function fromOlder<Result>(file: string, database: DatabaseSync, work: (source: Source) => Promise<Result>) {
  if (existsSync(`${file}-wal`)) throw new Error(`${file} is of an older Holdfast: start this one on it once before`)
  if (versionOf(database) === 0) throw new Error(`${file} is no database of Holdfast`)
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-restore-'))
  const copy = join(folder, 'holdfast.db')
  try {
    copyFileSync(file, copy)
    const writable = new DatabaseSync(copy)
    try {
      migrate(writable)
    } finally {
      writable.close()
    }
    return await fromSqlite(copy, work)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Makes a new database file: whole and on the disk, or not at all. With `mayReplace` one that is damaged gets another name.
 * @throws Error when there is one
 */
export async function intoSqlite<Result>(
  file: string,
  work: (target: Target) => Promise<Result>,
  mayReplace = false,
): Promise<Result> {
  if (existsSync(file) && !(mayReplace && isDamagedFile(file)))
    throw new Error(`${file} is there already; move it away, or name another place`)
  const partial = `${file}.partial`
  rmSync(partial, { force: true })
  writeFileSync(partial, '', { mode: 0o600 }) // it holds all manifests, private ones too
  const database = new DatabaseSync(partial)
  try {
    database.exec('pragma synchronous = full')
    migrate(database)
    database.exec('begin')
    const execute = createExecute(database)
    const result = await work({
      execute: async (statement) => execute(statement),
      async insert({ name, columns }, rows) {
        const names = Object.keys(columns)
        const text = `insert into ${name} (${names.join(', ')}) values (${names.map((_, i) => `?${i + 1}`).join(', ')})`
        for (const row of rows) execute({ text, values: names.map((column) => row[column] as string) })
      },
    })
    database.exec('commit')
    database.close()
    putAside(file, new Date()) // also the log of one that is gone: SQLite would play it into the new one
    renameSync(partial, file)
    syncFolder(dirname(file))
    return result
  } catch (error) {
    if (database.isOpen) database.close()
    rmSync(partial, { force: true })
    throw error
  }
}
