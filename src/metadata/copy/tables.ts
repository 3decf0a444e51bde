import { createHash } from 'node:crypto'
import { type Row, sql, type Statement } from '../sql/statement.ts'

export type ColumnType = 'text' | 'integer' | 'bytes'

export interface Table {
  name: string
  columns: Record<string, ColumnType>
  /** The columns that rows are ordered by; no two have the same. */
  key: string[]
  /** How many rows are held at a time: some hold megabytes each. */
  page: number
}

const [text, integer, bytes] = ['text', 'integer', 'bytes'] as const
const [small, large] = [1000, 20]

/** What accounts are made of: the only facts that no volume can give back. */
export const accountTables: Table[] = [
  {
    name: 'account',
    columns: {
      name: text,
      kind: text,
      organization: text,
      password: text,
      is_administrator: integer,
      is_disabled: integer,
      creates_on_push: integer,
      owns_namespace: integer,
      description: text,
      created_at: integer,
    },
    key: ['name'],
    page: small,
  },
  {
    name: 'team',
    columns: { organization: text, name: text, description: text },
    key: ['organization', 'name'],
    page: small,
  },
  {
    name: 'member',
    columns: { organization: text, team: text, account: text, role: text },
    key: ['organization', 'team', 'account'],
    page: small,
  },
  {
    name: 'access_token',
    columns: {
      id: text,
      account: text,
      name: text,
      hash: text,
      scopes: text,
      repositories: text,
      created_at: integer,
      expires_at: integer,
      used_at: integer,
      used_from: text,
    },
    key: ['id'],
    page: small,
  },
  {
    name: 'role_grant',
    columns: { namespace: text, repositories: text, principal: text, roles: text, created_at: integer },
    key: ['namespace', 'repositories', 'principal'],
    page: small,
  },
  { name: 'visibility', columns: { repository: text, visibility: text }, key: ['repository'], page: small },
  {
    name: 'robot_trust',
    columns: { robot: text, id: text, issuer: text, audiences: text, claims: text, created_at: integer },
    key: ['robot', 'id'],
    page: small,
  },
  {
    name: 'policy',
    columns: { name: text, namespace: text, document: text, created_at: integer },
    key: ['name'],
    page: small,
  },
  {
    name: 'rule_set',
    columns: { kind: text, scope: text, document: text, changed_at: integer },
    key: ['kind', 'scope'],
    page: small,
  },
  {
    name: 'tag_lock',
    columns: {
      repository: text,
      tag: text,
      is_fixed: integer,
      is_kept: integer,
      locked_by: text,
      locked_at: integer,
    },
    key: ['repository', 'tag'],
    page: small,
  },
  {
    name: 'quota',
    columns: { scope: text, bytes: integer, soft: integer, used: integer, is_configured: integer },
    key: ['scope'],
    page: small,
  },
  { name: 'quota_blob', columns: { scope: text, digest: text, size: integer }, key: ['scope', 'digest'], page: small },
  { name: 'account_version', columns: { id: integer, version: integer }, key: ['id'], page: small },
  {
    name: 'audit',
    columns: { sequence: integer, at: integer, previous: text, hash: text, body: text },
    key: ['sequence'],
    page: small,
  },
]

/** All that the present schema keeps, in an order in which it can be put in. */
export const tables: Table[] = [
  { name: 'repository', columns: { id: integer, name: text }, key: ['id'], page: small },
  {
    name: 'blob',
    columns: { digest: text, size: integer, stored_at: integer, unpacked: integer },
    key: ['digest'],
    page: small,
  },
  {
    name: 'blob_link',
    columns: { repository_id: integer, digest: text, doubted_at: integer },
    key: ['repository_id', 'digest'],
    page: small,
  },
  {
    name: 'manifest',
    columns: {
      id: integer,
      repository_id: integer,
      digest: text,
      media_type: text,
      subject: text,
      pushed_at: integer,
      content: bytes,
      last_pulled_at: integer,
      is_referring: integer,
      trashed_at: integer,
      trashed_by: text,
      trashed_why: text,
      trashed_tags: text,
      doubted_at: integer,
      to_measure: integer,
      platform: text,
    },
    key: ['id'],
    page: large,
  },
  {
    name: 'referrer',
    columns: { repository_id: integer, subject: text, digest: text, artifact_type: text, descriptor: text },
    key: ['repository_id', 'subject', 'digest'],
    page: large,
  },
  {
    name: 'tag',
    columns: {
      ...{ repository_id: integer, name: text, digest: text, moved_at: integer },
      ...{ expires_at: integer, expires_by: text },
    },
    key: ['repository_id', 'name'],
    page: small,
  },
  {
    name: 'tag_move',
    columns: { repository_id: integer, name: text, at: integer, digest: text, actor: text, why: text },
    key: ['repository_id', 'name', 'at'],
    page: small,
  },
  {
    name: 'reference',
    columns: { repository_id: integer, digest: text, manifest_id: integer },
    key: ['repository_id', 'digest', 'manifest_id'],
    page: small,
  },
  {
    name: 'doomed',
    columns: { digest: text, size: integer, state: text, since: integer },
    key: ['digest'],
    page: small,
  },
  {
    name: 'upload',
    columns: { id: text, repository: text, algorithm: text, started_at: integer, owner: text },
    key: ['id'],
    page: small,
  },
  {
    name: 'upload_state',
    columns: { path: text, version: integer, changed_at: integer, state: text },
    key: ['path'],
    page: large,
  },
  {
    name: 'vault',
    columns: { kind: text, id: text, ends_at: integer, text },
    key: ['kind', 'id'],
    page: small,
  },
  {
    name: 'tally',
    columns: { id: text, count: integer, until_at: integer, ends_at: integer },
    key: ['id'],
    page: small,
  },
  {
    name: 'refusal',
    columns: { sequence: integer, id: text, at: integer, body: text },
    key: ['sequence'],
    page: small,
  },
  {
    name: 'retention_run',
    columns: {
      sequence: integer,
      at: integer,
      repository: text,
      state: text,
      plan: text,
      actor: text,
      tags: integer,
      images: integer,
      bytes: integer,
      body: text,
    },
    key: ['sequence'],
    page: small,
  },
  { name: 'identity', columns: { id: text }, key: ['id'], page: small },
  { name: 'event', columns: { sequence: integer, at: integer, body: text }, key: ['sequence'], page: small },
  { name: 'cursor', columns: { name: text, sequence: integer, moved_at: integer }, key: ['name'], page: small },
  {
    name: 'job',
    columns: { name: text, due_at: integer, leased_until: integer, holder: text },
    key: ['name'],
    page: small,
  },
  ...accountTables,
]

/** The next rows after `last`, the first ones without it. */
export function pageOf({ name, columns, key, page }: Table, last: Row | undefined): Statement {
  const from = `select ${Object.keys(columns).join(', ')} from ${name}`
  const order = `order by ${key.join(', ')} limit ${page}`
  if (!last) return sql(`${from} ${order}`)
  const place = key.map((_, index) => `?${index + 1}`).join(', ')
  return sql(`${from} where (${key.join(', ')}) > (${place}) ${order}`, ...key.map((column) => last[column] as string))
}

/** A digest of rows that is the same whichever database they come from. */
export function createRowDigest({ columns }: Table) {
  const digest = createHash('sha256')
  return {
    update(rows: Row[]): void {
      for (const row of rows) {
        for (const column of Object.keys(columns)) {
          const value = row[column]
          // Texts as PostgreSQL has them: it cannot hold the character 0.
          if (!(value instanceof Uint8Array)) digest.update(JSON.stringify(value).replaceAll('\\u0000', '\\u0001'))
          else digest.update(`${value.length}:`).update(value)
          digest.update(',')
        }
        digest.update('\n')
      }
    },
    digest: () => digest.digest('hex'),
  }
}
