import { migrationsFrom } from '../sql/schema.ts'
import { type Client, type Connections, messageOf } from './connections.ts'
import { lockKey, words } from './dialect.ts'
import { nameOf } from './name.ts'

const oldestServer = 15

/**
 * Looks whether this server and database will do, and brings the schema to the present version, or refuses an older one; nodes
 * that start together wait for each other.
 * @throws Error in one line that names the key and what it expects; then nothing was changed
 */
export async function openDatabase(connections: Connections, url: string, older: 'migrate' | 'refuse'): Promise<void> {
  try {
    await connections.withConnection((client) => prepare(client, older))
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause ?? error
    const { code = '' } = cause as { code?: string }
    const advice = Object.entries(advices).find(([prefix]) => code.startsWith(prefix))?.[1]
    throw new Error(
      `holdfast.database.url: cannot use ${nameOf(url)}: ${messageOf(cause)}${advice ? `; ${advice}` : ''}`,
      { cause: error },
    )
  }
}

const advices: Record<string, string> = {
  28: 'expected postgres://USER:PASSWORD@HOST:PORT/DATABASE with a user the server lets in',
  '3D': 'make it with CREATE DATABASE, or name another: postgres://USER:PASSWORD@HOST:PORT/DATABASE',
  42501: 'make its user the owner: ALTER DATABASE … OWNER TO …',
  '42P07': 'expected a database of its own, without tables of others',
  ECONN: 'expected postgres://USER:PASSWORD@HOST:PORT/DATABASE of a server that runs',
  ENOTFOUND: 'expected postgres://USER:PASSWORD@HOST:PORT/DATABASE of a server that runs',
}

async function prepare(client: Client, older: 'migrate' | 'refuse'): Promise<void> {
  const show = async (setting: string) =>
    String((await client.query(`select current_setting('${setting}') as value`)).rows[0].value)
  const version = Math.floor(Number(await show('server_version_num')) / 10_000)
  if (version < oldestServer)
    throw new Error(`the server is PostgreSQL ${version}; expected PostgreSQL ${oldestServer} or newer`)
  const encoding = await show('server_encoding')
  if (encoding !== 'UTF8') throw new Error(`the database has the encoding ${encoding}; expected UTF8`)
  await client.query(`begin; select pg_advisory_xact_lock(${lockKey('the schema')})`)
  const { rows: tables } = await client.query(`select to_regclass('schema_version') as found`)
  const { rows } = tables[0].found ? await client.query('select version from schema_version') : { rows: [] }
  const present = Number(rows[0]?.version ?? 0)
  const texts = migrationsFrom(present, words)
  if (texts.length > 0 && older === 'refuse')
    throw new Error('it is of an older Holdfast, or of none: start this one on it once before')
  if (texts.length > 0)
    await client.query(
      [
        'create table if not exists schema_version (version bigint not null)',
        ...texts,
        'delete from schema_version',
        `insert into schema_version values (${present + texts.length})`,
      ].join(';\n'),
    )
  const { rows: rights } = await client.query(`select has_table_privilege('event', 'insert') as may_write`)
  if (!rights[0].may_write)
    throw new Error('its user may not write to the tables of Holdfast; expected the user that made them')
  if (older === 'migrate') await settleRestored(client)
  await client.query('commit')
}

/**
 * The log of a server that this database was moved from by pg_dump bears the ids of transactions there. Those that were never
 * given out here would look as if they were still to come.
 */
async function settleRestored(client: Client): Promise<void> {
  const next = 'pg_snapshot_xmax(pg_current_snapshot())'
  const newest = `select xid >= ${next} as restored from event order by sequence desc limit 1`
  if ((await client.query(newest)).rows[0]?.restored)
    await client.query(`update event set xid = '3' where xid >= ${next}`) // the first id there is
}
