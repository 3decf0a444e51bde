import type { AccountChange, AccountTable, AuditEntry, Refusal, TokenUse } from '../account-facts.ts'
import { auditHash } from '../audit-hash.ts'
import { accountTables, columnOf, toValue } from './account-rows.ts'
import type { Dialect } from './dialect.ts'
import { sql, type Steps } from './statement.ts'

/** How long refusals are kept, and how many of them. */
const [refusalMs, maxRefusals] = [24 * 60 * 60_000, 20_000]

/** The commands that change accounts and what belongs to them, and write the audit log. */
export function createAccountCommands({ lock }: Dialect) {
  return {
    *changeAccounts(version: number, changes: AccountChange[], entries: AuditEntry[], at: number): Steps<boolean> {
      yield* lock({ alone: ['accounts', 'audit'] })
      if ((yield* accountVersion()) !== version) return false
      for (const change of changes) yield* apply(change)
      yield sql(
        `insert into account_version (id, version) values (1, 1)
         on conflict (id) do update set version = account_version.version + 1`,
      )
      yield* append(entries, at)
      return true
    },

    *useTokens(uses: TokenUse[]): Steps<void> {
      for (const { id, at, from } of uses)
        yield sql('update access_token set used_at = ?1, used_from = ?2 where id = ?3 and used_at < ?1', at, from, id)
    },

    *recordRefusals(refusals: Refusal[], now: number): Steps<void> {
      yield* lock({ alone: ['refusals'] })
      const [last] = yield sql('select max(sequence) as sequence from refusal')
      let sequence = Number(last?.sequence ?? 0)
      for (const { id, at, body } of refusals)
        yield sql('insert into refusal (sequence, id, at, body) values (?1, ?2, ?3, ?4)', ++sequence, id, at, body)
      yield sql('delete from refusal where at < ?1 or sequence <= ?2', now - refusalMs, sequence - maxRefusals)
    },

    *recordAudit(entries: AuditEntry[], at: number): Steps<void> {
      yield* lock({ alone: ['audit'] })
      yield* append(entries, at)
    },

    *deleteAuditBefore(moment: number, at: number): Steps<number> {
      yield* lock({ alone: ['audit'] })
      const [last] = yield sql(
        `select sequence, hash from audit where at < ?1 and sequence < (select max(sequence) from audit)
         order by sequence desc limit 1`,
        moment,
      )
      if (!last) return 0
      const gone = yield sql('delete from audit where sequence <= ?1 returning sequence', Number(last.sequence))
      const detail = { sequence: Number(last.sequence), hash: String(last.hash) }
      yield* append([{ action: 'audit.trimmed', actor: '', address: '', target: '', detail }], at)
      return gone.length
    },
  }
}

/** How often something changed. */
export function* accountVersion(): Steps<number> {
  const [row] = yield sql('select version from account_version where id = 1')
  return Number(row?.version ?? 0)
}

function* apply(change: AccountChange): Steps<void> {
  const { table } = change
  if ('put' in change) return yield* put(table, change.put as unknown as Record<string, unknown>)
  const { condition, values } = whereOf(table, change.remove as Record<string, unknown>)
  yield sql(`delete from ${table} where ${condition}`, ...values)
}

function* put(table: AccountTable, row: Record<string, unknown>): Steps<void> {
  const fields = Object.keys(accountTables[table].columns)
  const { key } = accountTables[table]
  const others = fields.filter((field) => !key.includes(field)).map(columnOf)
  yield sql(
    `insert into ${table} (${fields.map(columnOf).join(', ')}) values (${fields.map((_, index) => `?${index + 1}`).join(', ')})
     on conflict (${key.map(columnOf).join(', ')}) do update set ${others.map((name) => `${name} = excluded.${name}`).join(', ')}`,
    ...fields.map((field) => toValue(table, field, row[field])),
  )
}

/** The condition that rows have these values. */
export function whereOf(table: AccountTable, where: Record<string, unknown>) {
  const given = Object.entries(where).filter(([, value]) => value !== undefined)
  if (given.length === 0) return { condition: 'true', values: [] }
  const condition = given.map(([field], index) => `${columnOf(field)} = ?${index + 1}`).join(' and ')
  return { condition, values: given.map(([field, value]) => toValue(table, field, value)) }
}

function* append(entries: AuditEntry[], at: number): Steps<void> {
  if (entries.length === 0) return
  const [last] = yield sql('select sequence, hash from audit order by sequence desc limit 1')
  let sequence = Number(last?.sequence ?? 0)
  let previous = String(last?.hash ?? '')
  for (const entry of entries) {
    const record = { sequence: ++sequence, at, previous, body: JSON.stringify(entry) }
    previous = auditHash(record)
    yield sql(
      'insert into audit (sequence, at, previous, hash, body) values (?1, ?2, ?3, ?4, ?5)',
      ...[sequence, at, record.previous, previous, record.body],
    )
  }
}
