import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import { byLabel, type Retired, type RetentionRun, type Retirement } from '../rule-facts.ts'
import { isUnattached } from './collection-conditions.ts'
import { isUnread } from './collection-commands.ts'
import type { Act } from './commands.ts'
import type { Dialect } from './dialect.ts'
import type { createTrash } from './manifests.ts'
import { type Held, protection, type Refused } from './protection.ts'
import { sql, type Steps } from './statement.ts'
import { untag } from './tags.ts'

interface Shared {
  dialect: Dialect
  record(act: Act, happenings: Happening[]): Steps<void>
  trash: ReturnType<typeof createTrash>
}

interface Order {
  retirements: Retirement[]
  why: 'expired' | 'retention'
  dueBefore: number | undefined
}

/** What goes of an image. */
interface Going {
  digest: Digest
  tags: string[]
  /** The manifest itself, since nothing keeps it any more. */
  whole: boolean
}

const maxRuns = 5000

/** The commands by which tags expire and retention takes them away. What they are given was planned before: each looks again. */
export function createRuleCommands({ dialect, record, trash }: Shared) {
  const { lock } = dialect
  const { standing, freeTags } = protection(dialect)

  return {
    *setExpiry(
      repository: string,
      name: string,
      { at, by, digest }: { at: number | undefined; by: string; digest?: Digest },
    ): Steps<boolean> {
      yield* lock({ together: [repository], alone: [`${repository}:${name}`] })
      const changed = yield sql(
        `update tag set expires_at = ?3, expires_by = ?4
         where repository_id = (select id from repository where name = ?1) and name = ?2
           and (?5 = '' or (digest = ?5 and coalesce(expires_by, '${byLabel}') = '${byLabel}')) returning name`,
        ...[repository, name, at ?? null, by, digest ?? ''],
      )
      return changed.length > 0
    },

    *retire(
      repository: string,
      { retirements, why, dueBefore }: Order,
      act: Act,
      held: Held,
    ): Steps<Retired | Refused> {
      yield* lock({ alone: [repository] })
      const known = yield* standing(repository)
      const result: Retired = { waits: false, tags: [], images: [], kept: [] }
      if (!known) return result
      if (yield* isUnread(known.id)) return { ...result, waits: true }
      const all = retirements.flatMap(({ tags }) => tags)
      const free = yield* freeTags(known, held, all)
      if (!free) return { outcome: 'stale' }
      result.kept = all.filter((tag) => !free.has(tag))
      const going: Going[] = []
      for (const one of retirements) {
        const found = yield* goingOf(known.id, { ...one, tags: one.tags.filter((tag) => free.has(tag)) }, dueBefore)
        if (found) going.push(found)
      }
      yield* record(
        act,
        going.flatMap((one) => happeningsOf(repository, one)),
      )
      const moved = { at: act.at, by: act.actor.name, why }
      for (const { digest, tags, whole } of going) {
        for (const tag of tags) yield* untag(known.id, tag, moved)
        result.tags.push(...tags)
        if (!whole) continue
        yield* trash(known.id, [digest], { ...moved, tags })
        result.images.push(digest)
      }
      return result
    },

    *recordRetention(run: Omit<RetentionRun, 'sequence'>): Steps<void> {
      yield* lock({ alone: ['retention'] })
      const [last] = yield sql('select max(sequence) as sequence from retention_run')
      const sequence = Number(last?.sequence ?? 0) + 1
      yield sql(
        `insert into retention_run (sequence, at, repository, state, plan, actor, tags, images, bytes, body)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`,
        ...[
          sequence,
          run.at,
          run.repository,
          run.state,
          run.plan,
          run.actor,
          run.tags,
          run.images,
          run.bytes,
          run.body,
        ],
      )
      yield sql('delete from retention_run where sequence <= ?1', sequence - maxRuns)
    },
  }
}

/** What of it is still so that it may go. */
function* goingOf(
  repositoryId: number,
  { digest, tags }: Retirement,
  dueBefore: number | undefined,
): Steps<Going | undefined> {
  // By the index alone: asked for more, or in order, SQLite would go through all tags of the repository.
  const found = yield sql('select name from tag where repository_id = ?1 and digest = ?2', repositoryId, digest)
  const present = found.map(({ name }) => String(name)).toSorted()
  const names: string[] = []
  for (const name of present) if (tags.includes(name) && (yield* isDue(repositoryId, name, dueBefore))) names.push(name)
  if (tags.length > 0 && names.length === 0) return undefined
  const [manifest] =
    names.length < present.length
      ? []
      : yield sql(
          `select 1 from manifest
           where repository_id = ?1 and digest = ?2 and trashed_at is null and ${isUnattached}`,
          ...[repositoryId, digest],
        )
  return manifest || names.length > 0 ? { digest, tags: names, whole: manifest !== undefined } : undefined
}

function* isDue(repositoryId: number, name: string, before: number | undefined): Steps<boolean> {
  if (before === undefined) return true
  const text = 'select 1 from tag where repository_id = ?1 and name = ?2 and expires_at <= ?3'
  return (yield sql(text, repositoryId, name, before)).length > 0
}

function happeningsOf(repository: string, { digest, tags, whole }: Going): Happening[] {
  if (whole) return [{ type: 'manifest.deleted', repository, digest, tags }]
  return tags.map((tag) => ({ type: 'tag.deleted', repository, tag }))
}
