import type { Row, Statement } from '../sql/statement.ts'
import { createRowDigest, pageOf, type Table, tables } from './tables.ts'

/** A database as it stands at one moment, inside a transaction. */
export interface Source {
  execute(statement: Statement): Promise<Row[]>
}

/** An empty database, inside the transaction that fills it. */
export interface Target extends Source {
  insert(table: Table, rows: Row[]): Promise<void>
}

export interface Copied {
  table: string
  rows: number
}

/**
 * Copies every table and then reads it back, before the target's transaction ends.
 * @throws Error when the target is not empty, or when what it holds afterwards is not the same
 */
export async function copyTables(source: Source, target: Target): Promise<Copied[]> {
  await expectEmpty(target)
  const copied: Copied[] = []
  for (const table of tables) {
    const read = await readTable(source, table, (rows) => target.insert(table, rows))
    const written = await readTable(target, table)
    if (read.rows !== written.rows || read.digest !== written.digest)
      throw new Error(
        `the copy of table ${table.name} is not the same: ${read.rows} rows with digest ${read.digest} became ${written.rows} with ${written.digest}`,
      )
    copied.push({ table: table.name, rows: read.rows })
  }
  return copied
}

/** @throws Error when a table has rows */
export async function expectEmpty(target: Source): Promise<void> {
  for (const table of tables)
    if ((await target.execute(pageOf({ ...table, page: 1 }, undefined))).length > 0)
      throw new Error(`it is not empty: table ${table.name} has rows; expected a database that was never used`)
}

async function readTable(
  source: Source,
  table: Table,
  take?: (rows: Row[]) => Promise<void>,
): Promise<{ rows: number; digest: string }> {
  const digest = createRowDigest(table)
  let count = 0
  for (let last: Row | undefined; ;) {
    const rows = await source.execute(pageOf(table, last))
    digest.update(rows)
    count += rows.length
    if (rows.length > 0) await take?.(rows)
    last = rows.at(-1)
    if (rows.length < table.page) return { rows: count, digest: digest.digest() }
  }
}
