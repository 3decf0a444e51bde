import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Row, Value } from '../sql/statement.ts'
import { createExecute } from '../sqlite/dialect.ts'
import { fromSqlite } from './sqlite.ts'
import { accountTables, pageOf, type Table, tables } from './tables.ts'

/** What no volume can give back: accounts with all that is theirs, and what sign-in keeps. */
const kept = [...accountTables, ...tables.filter(({ name }) => name === 'vault')]

export type Kept = { table: Table; rows: Row[] }[]

/** Reads that of the database in a folder, which may be damaged elsewhere. @throws Error where it cannot be read */
export async function readKept(folder: string): Promise<Kept> {
  const file = join(folder, 'holdfast.db')
  if (!existsSync(file)) return []
  return fromSqlite(file, async ({ execute }) => {
    const all: Kept = []
    for (const table of kept) {
      const rows: Row[] = []
      for (let last: Row | undefined; ; last = rows.at(-1)) {
        const part = await execute(pageOf(table, last))
        rows.push(...part)
        if (part.length < table.page) break
      }
      all.push({ table, rows })
    }
    return all
  })
}

/** Writes it into the new database in the folder, beside the registry that has it open. */
export function writeKept(folder: string, all: Kept): void {
  const database = new DatabaseSync(join(folder, 'holdfast.db'), { timeout: 10_000 })
  try {
    database.exec('pragma synchronous = full; begin immediate')
    const execute = createExecute(database)
    for (const { table, rows } of all) {
      const names = Object.keys(table.columns)
      const text = `insert into ${table.name} (${names.join(', ')}) values (${names.map((_, i) => `?${i + 1}`).join(', ')})`
      for (const row of rows) execute({ text, values: names.map((name) => row[name] as Value) })
    }
    database.exec('commit')
  } finally {
    database.close()
  }
}
