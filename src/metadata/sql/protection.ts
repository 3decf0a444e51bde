import type { Dialect } from './dialect.ts'
import { sql, type Steps } from './statement.ts'
import { digestOfTag } from './tags.ts'

/** What a command holds to: how the rules judge its tags, as of a version of the accounts and rules. */
export interface Held {
  version: number
  /** Whether any tag is locked. */
  hasLocks: boolean
  /** Tags that a rule protects, with its name. */
  rules: Record<string, string>
  /** All tags that were judged; undefined where there is no rule. */
  judged: string[] | undefined
}

/** `stale`: it was judged by rules that are none any more, or other tags than those that are there. */
export type Refused =
  | { outcome: 'stale' }
  | { outcome: 'protected'; tag: string; digest: string; rule: string; isLock: boolean }

interface Standing {
  id: number
  name: string
  version: number
}

/**
 * The tags that need something: those on it, and those on manifests that refer to it, or to such. A cross join keeps the order: SQLite
 * would begin with all that the repository has.
 */
export function* tagsNeeding(repositoryId: number, digest: string): Steps<string[]> {
  const on = yield sql('select name from tag where repository_id = ?1 and digest = ?2', repositoryId, digest)
  const above = yield sql(
    `with recursive holder (digest) as (
       select reference.digest from reference where repository_id = ?1 and reference.digest = ?2
       union
       select parent.digest from holder cross join reference cross join manifest as parent
       where reference.repository_id = ?1 and reference.digest = holder.digest
         and parent.id = reference.manifest_id and parent.trashed_at is null)
     select name from holder cross join tag where tag.repository_id = ?1 and tag.digest = holder.digest`,
    ...[repositoryId, digest],
  )
  return [...new Set([...on, ...above].map(({ name }) => String(name)))]
}

/** What commands ask of rules and locks, in their own transaction. */
export function protection({ textsOf }: Dialect) {
  /**
   * The repository with the version of the rules, and whether there are quotas: one statement, so that who has neither pays nothing
   * for them.
   */
  function* situation(name: string): Steps<{ known: Standing | undefined; isLimited: boolean }> {
    const [row] = yield sql(
      `select (select id from repository where name = ?1) as id, (select version from account_version where id = 1) as version,
         (select count(*) from quota) as quotas`,
      name,
    )
    const { id, version, quotas } = row!
    const known = id === null ? undefined : { id: Number(id), name, version: Number(version ?? 0) }
    return { known, isLimited: Number(quotas) > 0 }
  }

  function* standing(name: string): Steps<Standing | undefined> {
    return (yield* situation(name)).known
  }

  /** What keeps these tags from being moved `to` a digest, or from being deleted without one. */
  function* refusal(
    repository: Standing | undefined,
    { version, hasLocks, rules, judged }: Held,
    { tags, to }: { tags: string[]; to?: string },
  ): Steps<Refused | undefined> {
    if (!repository) return undefined // nothing is there that could be kept
    if (repository.version !== version || (judged && tags.some((tag) => !judged.includes(tag))))
      return { outcome: 'stale' }
    const locked = hasLocks
      ? yield* locksOf(repository.name, tags, to === undefined ? 'is_kept' : 'is_fixed')
      : undefined
    if (!locked && !judged) return undefined
    for (const tag of tags) {
      const lockedBy = locked?.get(tag)
      const rule = lockedBy ?? rules[tag]
      if (rule === undefined) continue
      const digest = yield* digestOfTag(repository.id, tag)
      if (digest !== undefined && digest !== to)
        return { outcome: 'protected', tag, digest, rule, isLock: lockedBy !== undefined }
    }
    return undefined
  }

  /** What keeps something from being deleted, because a tag that is kept needs it. */
  function* refusalToDelete(repository: Standing, held: Held, digest: string): Steps<Refused | undefined> {
    const isAny = held.judged !== undefined || held.hasLocks
    return yield* refusal(repository, held, { tags: isAny ? yield* tagsNeeding(repository.id, digest) : [] })
  }

  /** Those of the tags that are locked, with who did it. */
  function* locksOf(repository: string, tags: string[], kind: 'is_fixed' | 'is_kept'): Steps<Map<string, string>> {
    const rows = yield sql(
      `select tag, locked_by from ${textsOf('?2')} cross join tag_lock
       where repository = ?1 and tag = value and ${kind} = 1`,
      repository,
      tags,
    )
    return new Map(rows.map(({ tag, locked_by: by }) => [String(tag), String(by)]))
  }

  /** Those of the tags that may be deleted; undefined: judged by rules that are none any more. */
  function* freeTags(repository: Standing, held: Held, tags: string[]): Steps<Set<string> | undefined> {
    if (repository.version !== held.version) return undefined
    const locked = held.hasLocks ? yield* locksOf(repository.name, tags, 'is_kept') : undefined
    return new Set(tags.filter((tag) => held.rules[tag] === undefined && !locked?.has(tag)))
  }

  return { situation, standing, refusal, refusalToDelete, freeTags }
}
