import type { AccountRows, AccountTable } from '../account-facts.ts'
import type { Row, Value } from './statement.ts'

type ColumnKind = 'text' | 'number' | 'flag' | 'list'

interface Table {
  /** The columns rows are ordered by; no two have the same. */
  key: string[]
  columns: Record<string, ColumnKind>
}

const [text, number, flag, list] = ['text', 'number', 'flag', 'list'] as const

/** How the rows of `AccountRows` lie in the database: a field is a column of the same name. */
export const accountTables: { [T in AccountTable]: Table & { columns: Record<keyof AccountRows[T], ColumnKind> } } = {
  account: {
    key: ['name'],
    columns: {
      name: text,
      kind: text,
      organization: text,
      password: text,
      isAdministrator: flag,
      isDisabled: flag,
      createsOnPush: flag,
      ownsNamespace: flag,
      description: text,
      createdAt: number,
    },
  },
  member: {
    key: ['organization', 'team', 'account'],
    columns: { organization: text, team: text, account: text, role: text },
  },
  team: { key: ['organization', 'name'], columns: { organization: text, name: text, description: text } },
  access_token: {
    key: ['id'],
    columns: {
      id: text,
      account: text,
      name: text,
      hash: text,
      scopes: list,
      repositories: list,
      createdAt: number,
      expiresAt: number,
      usedAt: number,
      usedFrom: text,
    },
  },
  role_grant: {
    key: ['namespace', 'repositories', 'principal'],
    columns: { namespace: text, repositories: text, principal: text, roles: list, createdAt: number },
  },
  robot_trust: {
    key: ['robot', 'id'],
    columns: { robot: text, id: text, issuer: text, audiences: list, claims: text, createdAt: number },
  },
  visibility: { key: ['repository'], columns: { repository: text, visibility: text } },
  rule_set: { key: ['kind', 'scope'], columns: { kind: text, scope: text, document: text, changedAt: number } },
  tag_lock: {
    key: ['repository', 'tag'],
    columns: { repository: text, tag: text, isFixed: flag, isKept: flag, lockedBy: text, lockedAt: number },
  },
  policy: { key: ['name'], columns: { name: text, namespace: text, document: text, createdAt: number } },
}

/** The column of a field: `createdAt` is `created_at`. */
export const columnOf = (field: string) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** A field's value as the database keeps it. */
export function toValue(table: AccountTable, field: string, value: unknown): Value {
  const kind = (accountTables[table] as Table).columns[field]
  if (kind === undefined) throw new Error(`there is no column ${field} in ${table}`)
  if (kind === 'list') return JSON.stringify(value)
  return kind === 'flag' ? Number(value) : (value as Value)
}

/** A row as the rest of the program knows it. */
export function rowOf<T extends AccountTable>(table: T, row: Row): AccountRows[T] {
  const { columns } = accountTables[table] as Table
  const fields = Object.entries(columns).map(([field, kind]) => {
    const value = row[columnOf(field)]
    if (kind === 'list') return [field, JSON.parse(String(value)) as unknown]
    return [field, kind === 'text' ? String(value) : kind === 'flag' ? Number(value) === 1 : Number(value)]
  })
  return Object.fromEntries(fields) as AccountRows[T]
}
