import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Dialect } from '../sql/dialect.ts'
import { migrationsFrom, type Words } from '../sql/schema.ts'
import { isDamaged, withAdvice } from './damaged.ts'
import { type Row, sql, type Statement, type Value } from '../sql/statement.ts'

/** One thread writes here, so that there is nobody to lock out and no event that comes late. */
export const dialect: Dialect = {
  textsOf: (parameter) => `json_each(${parameter})`,
  settled: 'true',
  record: (at, events) =>
    events.map((event) => ({
      ...sql('insert into event (at, body) values (?1, ?2)', at, JSON.stringify(event)),
      events: [event],
    })),
  lock: () => [],
}

export const words: Words = {
  text: 'text',
  integer: 'integer',
  bytes: 'blob',
  id: 'integer primary key',
  sequence: 'integer primary key autoincrement',
  table: 'strict',
  keyedTable: 'strict, without rowid',
  recording: '',
  lastEvent: `
    insert into event (sequence, at, body) select seq, 0, '' from sqlite_sequence
    where name = 'event' and seq > (select coalesce(max(sequence), 0) from event)`,
  // Else it looks at all tags of a repository for those on a manifest that is deleted (the foreign key), and at all that is condemned
  // for what is deleted next.
  statistics: `
    analyze sqlite_schema;
    insert into sqlite_stat1 (tbl, idx, stat) values
      ('tag', 'tag', '1000000 1000 1'), ('tag', 'tag_digest', '1000000 1000 2 1'),
      ('doomed', 'doomed', '1000000 1'), ('doomed', 'doomed_since', '1000000 10000 100');
    analyze sqlite_schema`,
}

/** Brings the database to the present version. @throws when a newer Holdfast wrote it */
export function migrate(database: DatabaseSync): void {
  let version = versionOf(database)
  for (const text of migrationsFrom(version, words))
    database.exec(`begin immediate; ${text}; pragma user_version = ${++version}; commit`)
}

/** The version of its schema; 0 when it has none. */
export function versionOf(database: DatabaseSync): number {
  return Number(database.prepare('pragma user_version').get()?.user_version)
}

/** Executes statements on this connection; each text is prepared once. Of a damaged database its errors say what to do. */
export function createExecute(database: DatabaseSync): (statement: Statement) => Row[] {
  const prepared = new Map<string, StatementSync>()
  return ({ text, values }) => {
    try {
      let statement = prepared.get(text)
      if (!statement) prepared.set(text, (statement = database.prepare(text)))
      return statement.all(...toInputs(values))
    } catch (error) {
      throw isDamaged(error) ? withAdvice(error as Error) : error
    }
  }
}

function toInputs(values: Value[]): SQLInputValue[] {
  if (!values.some(Array.isArray)) return values as SQLInputValue[]
  return values.map((value) => (Array.isArray(value) ? JSON.stringify(value) : value))
}
