import { firstMigrations } from './migrations/first.ts'
import { laterMigrations } from './migrations/later.ts'

/** How a database says what all schemas need. */
export interface Words {
  /** Types of columns. Texts are compared by their bytes. */
  text: string
  integer: string
  bytes: string
  /** A key that is counted up. */
  id: string
  /** The same that is never given out twice, and whatever else the order of events needs. */
  sequence: string
  /** What ends the definition of a table, and of one that lies in the order of its key. */
  table: string
  keyedTable: string
  /** What recording events needs. */
  recording: string
  /** Brings the number of the last event that there was into the table, where it stood elsewhere. */
  lastEvent: string
  /** Tells the database how many rows of a kind there may be, where it would not find out. */
  statistics: string
}

/** Brings the database from the version before to the next one. */
export type Migration = (words: Words) => string

const migrations: Migration[] = [...firstMigrations, ...laterMigrations]

export const schemaVersion = migrations.length

/**
 * The statements that bring a database from its version to the next ones, a text each.
 * @throws Error when a newer Holdfast wrote it
 */
export function migrationsFrom(version: number, words: Words): string[] {
  if (version > schemaVersion)
    throw new Error(`it has version ${version}, this Holdfast knows up to ${schemaVersion}; use a newer one`)
  return migrations.slice(version).map((migration) => migration(words))
}
