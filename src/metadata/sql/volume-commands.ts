import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import { type Found, registry2 } from '../volume-facts.ts'
import type { Act } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { hold, refer } from './fact-writer.ts'
import { sql, type Steps } from './statement.ts'
import { remember, tag } from './tags.ts'

interface Shared {
  dialect: Dialect
  ensureRepository(name: string): Steps<number>
  record(act: Act, happenings: Happening[]): Steps<void>
  /** Gives quotas back what a repository has lost. */
  release(repository: string, digests: Digest[]): Steps<void>
}

/** The commands that bring the database into agreement with what another registry left in the volume. */
export function createVolumeCommands({ dialect, ensureRepository, record, release }: Shared) {
  return {
    *takeIn(
      repository: string,
      { blobs, manifests, tags }: Found,
      { now, since }: { now: number; since: number | undefined },
    ): Steps<boolean> {
      yield* dialect.lock({ alone: [repository] })
      if (since !== undefined && (yield* isNamed(`"repository":${JSON.stringify(repository)}`, since))) return false
      const id = yield* ensureRepository(repository)
      for (const blob of blobs) yield* hold(id, blob, { storedAt: blob.storedAt, now })
      for (const { digest, mediaType, content, subject, artifactType, annotations, pushedAt } of manifests) {
        // Nobody knows when it was pulled; "now" keeps it from being taken for unused.
        yield sql(
          `insert into manifest (repository_id, digest, media_type, subject, pushed_at, content, last_pulled_at)
           values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
           on conflict (repository_id, digest) do update set trashed_at = null, doubted_at = excluded.last_pulled_at where manifest.trashed_at is not null`,
          ...[id, digest, mediaType, subject ?? null, pushedAt, content, now],
        )
        yield* refer(id, { subject, digest, mediaType, size: content.length, artifactType, annotations })
      }
      for (const { name, digest, movedAt, history } of tags) {
        const taken = { by: registry2.name, why: 'taken over' } as const
        for (const move of history) yield* remember(id, name, move.digest, { ...taken, at: move.at })
        yield* tag(id, name, digest, { ...taken, at: movedAt }) // last: it knows best when the tag came to where it is
      }
      return true
    },

    *dropBlob(digest: Digest, since: number, act: Act): Steps<boolean> {
      yield* dialect.lock({ alone: [digest] })
      if (yield* isNamed(digest, since)) return false
      const holders = yield sql(
        'select name from blob_link join repository on repository.id = repository_id where digest = ?1 order by name',
        digest,
      )
      yield* record(
        act,
        holders.map(({ name }) => ({ type: 'blob.deleted', repository: String(name), digest })),
      )
      yield sql('delete from blob_link where digest = ?1', digest)
      for (const { name } of holders) yield* release(String(name), [digest])
      return (yield sql('delete from blob where digest = ?1 returning digest', digest)).length > 0
    },

    /** Gives the database's identity; the first time it is this one. */
    *identify(candidate: string): Steps<string> {
      yield* dialect.lock({ alone: ['identity'] })
      yield sql('insert into identity (id) select ?1 where not exists (select 1 from identity)', candidate)
      const [row] = yield sql('select id from identity')
      return String(row!.id)
    },

    *resizeBlob(digest: Digest, size: number): Steps<void> {
      yield sql('update blob set size = ?1 where digest = ?2', size, digest)
    },
  }
}

/** Whether an event after `since` has this text in it, or one much like it. */
function* isNamed(text: string, since: number): Steps<boolean> {
  return (yield sql('select 1 from event where sequence > ?1 and body like ?2 limit 1', since, `%${text}%`)).length > 0
}
