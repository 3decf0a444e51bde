import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { nameOf } from '../postgres/name.ts'
import { type Copied, copyTables, expectEmpty, type Source, type Target } from './copy.ts'

/** Where facts are: in PostgreSQL, in the folder of a registry's SQLite, or in a file of its own, such as a backup. */
export type Place = { url: string } | { folder: string } | { file: string }

/**
 * Copies all facts from one place to another that has none, and compares what arrived. Nothing is left where it fails. With
 * `online` the source may be in use, and what is copied is how it stood at one moment; with `mayReplace` a damaged database there is
 * put aside.
 * @throws Error in one line that says what to do
 */
export async function copyDatabase(
  from: Place,
  to: Place,
  { online, mayReplace = false }: { online: boolean; mayReplace?: boolean },
): Promise<Copied[]> {
  return withSource(from, online, (source) => {
    const work = (target: Target) =>
      copyTables(source, target).catch((error: Error) => {
        throw new Error(`Cannot copy to ${nameOfPlace(to)}: ${error.message}`, { cause: error })
      })
    return withTarget(to, work, mayReplace)
  })
}

/** @throws Error in one line where there is a database already, as far as can be said before one is made */
export async function expectNone(place: Place): Promise<void> {
  if ('url' in place) {
    const { intoPostgres } = await import('./postgres.ts')
    return intoPostgres(place.url, expectEmpty).catch((error: Error) => {
      throw new Error(`Cannot restore to ${nameOfPlace(place)}: ${error.message}`, { cause: error })
    })
  }
  if (existsSync(nameOfPlace(place)))
    throw new Error(`${nameOfPlace(place)} is there already: a backup is restored to a server that has nothing`)
}

// Each database is loaded only where it is used.
async function withSource<Result>(place: Place, online: boolean, work: (source: Source) => Promise<Result>) {
  if ('url' in place) return (await import('./postgres.ts')).fromPostgres(place.url, !online, work)
  const { fromSqlite, withFolder } = await import('./sqlite.ts')
  if ('file' in place) return fromSqlite(place.file, work)
  if (online) return fromSqlite(fileIn(place.folder), work)
  return withFolder(place.folder, (file) => fromSqlite(file, work))
}

async function withTarget<Result>(place: Place, work: (target: Target) => Promise<Result>, mayReplace: boolean) {
  if ('url' in place) return (await import('./postgres.ts')).intoPostgres(place.url, work)
  const { intoSqlite, withFolder } = await import('./sqlite.ts')
  if ('file' in place) return intoSqlite(place.file, work)
  return withFolder(place.folder, (file) => intoSqlite(file, work, mayReplace))
}

const fileIn = (folder: string) => join(folder, 'holdfast.db')

/** The place as it may be told: without a password. */
export function nameOfPlace(place: Place): string {
  if ('file' in place) return place.file
  return 'folder' in place ? fileIn(place.folder) : nameOf(place.url)
}
