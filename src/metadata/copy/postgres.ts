import { createConnections, nodeName } from '../postgres/connections.ts'
import { words } from '../postgres/dialect.ts'
import { openDatabase } from '../postgres/open.ts'
import { sql } from '../sql/statement.ts'
import type { Source, Target } from './copy.ts'
import { type ColumnType, type Table, tables } from './tables.ts'

type Use<Part, Result> = (part: Part) => Promise<Result>

/** Reads a database as of now, also while nodes write to it. With `unused` none may. @throws Error in one line */
export async function fromPostgres<Result>(url: string, unused: boolean, work: Use<Source, Result>): Promise<Result> {
  return withDatabase(url, 'refuse', async (execute) => {
    if (unused) await refuseInUse(execute)
    await execute(sql('begin isolation level repeatable read read only'))
    return work({ execute })
  })
}

/** Fills an empty database. @throws Error in one line */
export async function intoPostgres<Result>(url: string, work: Use<Target, Result>): Promise<Result> {
  return withDatabase(url, 'migrate', async (execute) => {
    await refuseInUse(execute)
    await execute(sql('begin'))
    const result = await work({
      execute,
      async insert({ name, columns }, rows) {
        const names = Object.keys(columns)
        const types = Object.values(columns).map((type, index) => `cast(?${index + 1} as ${typeOf(type)}[])`)
        const text = `insert into ${name} (${names.join(', ')}) select * from unnest(${types.join(', ')})`
        await execute({ text, values: names.map((column) => rows.map((row) => row[column] as string)) })
      },
    })
    for (const table of tables) await continueCounting(table, execute)
    await execute(sql('commit'))
    return result
  })
}

type Execute = Source['execute']

async function withDatabase<Result>(
  url: string,
  older: 'migrate' | 'refuse',
  work: (execute: Execute) => Promise<Result>,
) {
  const connections = createConnections(url, 'upkeep')
  try {
    await openDatabase(connections, url, older)
    return await connections.withConnection((client) => work((statement) => connections.execute(client, statement)))
  } finally {
    await connections.close()
  }
}

async function refuseInUse(execute: Execute): Promise<void> {
  const [row] = await execute(
    sql(
      'select count(*) as count from pg_stat_activity where datname = current_database() and application_name = ?1',
      nodeName,
    ),
  )
  if (Number(row?.count) > 0)
    throw new Error(`a Holdfast is using it (${Number(row?.count)} connections): stop it first`)
}

/** Lets the numbers of new rows go on after those that came. */
async function continueCounting({ name, key: [key] }: Table, execute: Execute): Promise<void> {
  const counted = ['repository', 'manifest', 'event'].includes(name)
  if (counted)
    await execute(
      sql(`select setval(pg_get_serial_sequence('${name}', '${key}'), max(${key})) from ${name} having count(*) > 0`),
    )
}

function typeOf(type: ColumnType): string {
  return type === 'text' ? 'text' : words[type]
}
