import type { AccountFacts, AccountPage, AccountRows, AccountTable, AuditRecord, Refusal } from '../account-facts.ts'
import { accountVersion, whereOf } from './account-commands.ts'
import { accountTables, columnOf, rowOf } from './account-rows.ts'
import type { Run } from './commands.ts'
import { type Row, sql, type Steps } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
}

/** Accounts and what belongs to them, over a database that takes steps. */
export function createAccountFacts({ read, run, now }: Deps): AccountFacts {
  return {
    version: async () => read(accountVersion()),
    find: async (table, where) => (await read(rows(table, where, { limit: 1 })))[0],
    list: async (table, where, page) => read(rows(table, where, page)),
    holds: async (where) => read(holds(where)),
    change: (version, changes, entries) => run('changeAccounts', version, changes, entries, now()),
    useTokens: (uses) => run('useTokens', uses),
    refusals: {
      record: (refusals) => run('recordRefusals', refusals, now()),
      find: async (id) => read(refusals(id)),
    },
    audit: {
      record: (entries) => run('recordAudit', entries, now()),
      after: async (sequence, limit) => read(records('sequence > ?1 order by sequence', sequence, limit)),
      before: async (sequence, limit) => read(records('sequence < ?1 order by sequence desc', sequence, limit)),
      deleteBefore: (moment) => run('deleteAuditBefore', moment, now()),
    },
  }
}

function* rows<T extends AccountTable>(
  table: T,
  where: Partial<AccountRows[T]>,
  { limit, last }: Partial<AccountPage> = {},
): Steps<AccountRows[T][]> {
  const { condition, values } = whereOf(table, where)
  const order = accountTables[table].key.filter((field) => !(field in where)).map(columnOf)
  const all = [...values, ...(last ?? []), ...(limit === undefined ? [] : [limit])]
  const place = last?.map((_, index) => `?${values.length + index + 1}`).join(', ')
  const found: Row[] = yield sql(
    `select * from ${table} where ${condition}${place ? ` and (${order.join(', ')}) > (${place})` : ''}
     ${order.length > 0 ? `order by ${order.join(', ')}` : ''}${limit === undefined ? '' : ` limit ?${all.length}`}`,
    ...all,
  )
  return found.map((row) => rowOf(table, row))
}

const isFilled = `(exists (select 1 from manifest where repository_id = repository.id)
  or exists (select 1 from blob_link where repository_id = repository.id))`

function* holds(where: { repository: string } | { namespace: string }): Steps<boolean> {
  if ('repository' in where)
    return (yield sql(`select 1 from repository where name = ?1 and ${isFilled}`, where.repository)).length > 0
  // What follows a slash in the order of bytes is a zero, so this is all that begins with the name and a slash.
  const { namespace } = where
  const found = yield sql(
    `select 1 from repository where (name = ?1 or (name > ?2 and name < ?3)) and ${isFilled} limit 1`,
    ...[namespace, `${namespace}/`, `${namespace}0`],
  )
  return found.length > 0
}

function* refusals(id: string): Steps<Refusal[]> {
  const found = yield sql('select at, body from refusal where id = ?1 order by sequence desc limit 20', id)
  return found.map(({ at, body }) => ({ id, at: Number(at), body: String(body) }))
}

function* records(text: string, sequence: number, limit: number): Steps<AuditRecord[]> {
  const found = yield sql(
    `select sequence, at, previous, hash, body from audit where ${text} limit ?2`,
    sequence,
    limit,
  )
  return found.map((row) => ({
    sequence: Number(row.sequence),
    at: Number(row.at),
    previous: String(row.previous),
    hash: String(row.hash),
    body: String(row.body),
  }))
}
