import type { Vault, VaultEntry } from '../../auth/vault.ts'
import type { Run } from './commands.ts'
import { type Row, sql, type Steps } from './statement.ts'

/** The commands that write what sign-in keeps. */
export const vaultCommands = {
  *addToVault(place: { kind: string; id: string }, text: string, endsAt: number | null, now: number): Steps<boolean> {
    // What has ended is not there, swept or not.
    const added = yield sql(
      `insert into vault (kind, id, ends_at, text) values (?1, ?2, ?3, ?4)
       on conflict (kind, id) do update set ends_at = excluded.ends_at, text = excluded.text where vault.ends_at <= ?5
       returning id`,
      ...[place.kind, place.id, endsAt, text, now],
    )
    return added.length === 1
  },
  *replaceInVault(kind: string, id: string, before: string, after: string): Steps<boolean> {
    const text = 'update vault set text = ?4 where kind = ?1 and id = ?2 and text = ?3 returning id'
    return (yield sql(text, kind, id, before, after)).length === 1
  },
  *extendInVault(kind: string, id: string, endsAt: number | null): Steps<void> {
    yield sql('update vault set ends_at = ?3 where kind = ?1 and id = ?2', kind, id, endsAt)
  },
  *deleteFromVault(kind: string, id: string): Steps<void> {
    yield sql('delete from vault where kind = ?1 and id = ?2', kind, id)
  },
  *sweepVault(now: number): Steps<void> {
    yield sql('delete from vault where ends_at <= ?1', now)
  },
}

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
}

/** The vault, over a database that takes steps. */
export function createVault({ read, run, now }: Deps): Vault {
  const msOf = (moment: Date | undefined) => moment?.getTime() ?? null
  return {
    get: async (kind, id) => read(find(kind, id, now())),
    list: async (kind) => read(list(kind, now())),
    add: (kind, id, { text, endsAt }) => run('addToVault', { kind, id }, text, msOf(endsAt), now()),
    replace: (kind, id, before, after) => run('replaceInVault', kind, id, before, after),
    extend: (kind, id, endsAt) => run('extendInVault', kind, id, msOf(endsAt)),
    delete: (kind, id) => run('deleteFromVault', kind, id),
    sweep: () => run('sweepVault', now()),
  }
}

const valid = '(ends_at is null or ends_at > ?2)'

function* find(kind: string, id: string, now: number): Steps<VaultEntry | undefined> {
  const [row] = yield sql(`select text, ends_at from vault where kind = ?1 and id = ?3 and ${valid}`, kind, now, id)
  return row && entryOf(row)
}

function* list(kind: string, now: number): Steps<({ id: string } & VaultEntry)[]> {
  const rows = yield sql(`select id, text, ends_at from vault where kind = ?1 and ${valid} order by id`, kind, now)
  return rows.map((row) => ({ id: String(row.id), ...entryOf(row) }))
}

function entryOf({ text, ends_at: endsAt }: Row): VaultEntry {
  return { text: String(text), endsAt: endsAt === null ? undefined : new Date(Number(endsAt)) }
}
