import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import type { Bytes, Verdict } from '../collection-facts.ts'
import { heldByBackup, isLoose, unknown } from './collection-conditions.ts'
import type { Act } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { type createTrash, refers } from './manifests.ts'
import type { createQuotaCommands } from './quota-commands.ts'
import { type Row, sql, type Steps } from './statement.ts'

interface Shared {
  dialect: Dialect
  repositoryId(name: string): Steps<number | undefined>
  record(act: Act, happenings: Happening[]): Steps<void>
  trash: ReturnType<typeof createTrash>
  quotas: Pick<ReturnType<typeof createQuotaCommands>, 'release' | 'take'>
  /** What a manifest and what it refers to take in a repository. */
  bytesOf(
    repository: number,
    of: { manifest: { digest: Digest; size: number }; references: { digest: Digest }[] },
  ): Steps<Map<Digest, number>>
}

const nothing = { unlinked: 0, condemned: [] }

/** The commands of the collector. What they are given was found before: each looks again under its locks. */
export function createCollectionCommands({ dialect, repositoryId, record, trash, quotas, bytesOf: held }: Shared) {
  const { release } = quotas
  const { lock, textsOf } = dialect
  const isHeld = 'exists (select 1 from blob_link where blob_link.digest = value)'

  /** Blobs that no repository holds are none any more; their bytes are condemned. */
  function* condemnHeldByNone(digests: Digest[], now: number): Steps<Bytes[]> {
    const lost = yield sql(
      `select digest, size from ${textsOf('?1')} cross join blob where digest = value and not ${isHeld}`,
      digests,
    )
    if (lost.length === 0) return []
    const these = `from blob where digest in (select value from ${textsOf('?1')})`
    const names = lost.map(({ digest }) => String(digest))
    yield sql(`${doomed} select digest, size, 'condemned', cast(?2 as bigint) ${these} ${doomedBefore}`, names, now)
    yield sql(`delete ${these}`, names)
    return lost.map(bytesOf)
  }

  return {
    *referManifests(read: { id: number; references: Digest[] }[]): Steps<void> {
      for (const { id, references } of read) {
        const text = `
          update manifest set is_referring = 1 where id = ?1 and is_referring = 0
          returning repository_id, digest, length(content) as size,
            (select name from repository where repository.id = repository_id) as repository`
        const [unread] = yield sql(text, id)
        if (!unread) continue
        const [repository, manifest] = [Number(unread.repository_id), bytesOf(unread)]
        const all = references.map((digest) => ({ digest }))
        yield* refers(repository, id, all)
        yield* quotas.take(String(unread.repository), () => held(repository, { manifest, references: all }))
      }
    },

    *beginDoubts(limit: number, now: number): Steps<number> {
      const begun = yield sql(
        `update blob_link set doubted_at = ?1 where (repository_id, digest) in
           (select repository_id, digest from blob_link where doubted_at = 0 limit ?2) returning digest`,
        ...[now, limit],
      )
      const more = yield sql(
        `update manifest set doubted_at = ?1 where id in
           (select id from manifest where doubted_at = 0 order by id limit ?2) returning id`,
        ...[now, limit],
      )
      return begun.length + more.length
    },

    *renewDoubt(repository: string, digest: Digest, now: number): Steps<boolean> {
      yield* lock({ together: [repository] })
      const id = yield* repositoryId(repository)
      if (id === undefined) return false
      const text = `
        update blob_link set doubted_at = ?3 where repository_id = ?1 and digest = ?2 returning digest`
      return (yield sql(text, id, digest, now)).length > 0
    },

    *judgeDoubts(
      repository: string,
      digests: Digest[],
      { before, uploadsSince }: { before: number; uploadsSince?: number },
      act: Act,
    ): Steps<Verdict> {
      yield* lock({ alone: [repository, ...digests] })
      const id = yield* repositoryId(repository)
      if (id === undefined) return { waits: false, ...nothing }
      if (yield* isUnread(id)) return { waits: true, ...nothing }
      const found = yield sql(
        `select digest, case when exists (select 1 from reference where repository_id = ?1 and digest = value)
           then 1 else 0 end as needed
         from ${textsOf('?2')} cross join blob_link where repository_id = ?1 and digest = value and doubted_at <= ?3`,
        ...[id, digests, before],
      )
      const [needed, garbage] = [1, 0].map((wanted) =>
        found.filter((row) => Number(row.needed) === wanted).map(({ digest }) => digest as Digest),
      ) as [Digest[], Digest[]]
      const waits = garbage.length > 0 && uploadsSince !== undefined && (yield* isUploadedTo(repository, uploadsSince))
      const going = waits ? [] : garbage
      yield* record(
        act,
        going.map((digest) => ({ type: 'blob.deleted', repository, digest })),
      )
      const these = `repository_id = ?1 and digest in (select value from ${textsOf('?2')})`
      if (needed.length > 0) yield sql(`update blob_link set doubted_at = null where ${these}`, id, needed)
      if (going.length > 0) yield sql(`delete from blob_link where ${these}`, id, going)
      yield* release(repository, going)
      const condemned = going.length > 0 ? yield* condemnHeldByNone(going, act.at) : []
      return { waits, unlinked: going.length, condemned }
    },

    *judgeManifests(
      repository: string,
      digests: Digest[],
      { before, doubtedAt, pulledSince }: { before: number; doubtedAt: number; pulledSince: number },
      act: Act,
    ): Steps<{ waits: boolean; trashed: number }> {
      yield* lock({ alone: [repository] })
      const id = yield* repositoryId(repository)
      if (id === undefined) return { waits: false, trashed: 0 }
      if (yield* isUnread(id)) return { waits: true, trashed: 0 }
      const found = yield sql(
        `select digest, last_pulled_at, case when ${isLoose} then 1 else 0 end as loose
         from ${textsOf('?2')} cross join manifest
         where repository_id = ?1 and digest = value and doubted_at <= ?3 and trashed_at is null`,
        ...[id, digests, before],
      )
      const isPulled = (row: Row) => Number(row.last_pulled_at ?? 0) > pulledSince
      const [kept, loose] = [0, 1].map((wanted) => found.filter((row) => Number(row.loose) === wanted)) as [
        Row[],
        Row[],
      ]
      const going = digestsOf(loose.filter((row) => !isPulled(row)))
      yield* record(
        act,
        going.map((digest) => ({ type: 'manifest.deleted', repository, digest, tags: [] })),
      )
      const settle = `update manifest set doubted_at = null where repository_id = ?1 and digest in (select value from ${textsOf('?2')})`
      yield sql(settle, id, [...digestsOf(kept), ...going])
      for (const row of loose.filter(isPulled)) {
        const due = Number(row.last_pulled_at) - pulledSince + before // what is pulled no more is due again later
        yield sql(
          'update manifest set doubted_at = ?3 where repository_id = ?1 and digest = ?2',
          id,
          String(row.digest),
          due,
        )
      }
      if (going.length > 0)
        yield* trash(id, going, { at: act.at, by: act.actor.name, why: 'untagged', tags: [], doubtedAt })
      return { waits: false, trashed: going.length }
    },

    *countPulls(pulls: { repository: string; digest: Digest }[], now: number): Steps<void> {
      for (const { repository, digest } of pulls)
        yield sql(
          `update manifest set last_pulled_at = ?3 where repository_id = (select id from repository where name = ?1)
             and digest = ?2 and coalesce(last_pulled_at, 0) < cast(?3 as bigint) - 3600000`,
          ...[repository, digest, now],
        )
    },

    *endManifests(
      repository: string,
      digests: Digest[],
      { before, doubtedAt }: { before: number; doubtedAt: number },
      now: number,
    ): Steps<number> {
      yield* lock({ alone: [repository] })
      const id = yield* repositoryId(repository)
      if (id === undefined) return 0
      const due = yield sql(
        `select digest from ${textsOf('?2')} cross join manifest
         where repository_id = ?1 and digest = value and trashed_at is not null and trashed_at <= ?3`,
        ...[id, digests, before],
      )
      const going = digestsOf(due)
      if (going.length === 0) return 0
      const these = `repository_id = ?1 and digest in (select value from ${textsOf('?2')})`
      const ids = `select id from manifest where ${these}`
      yield sql(
        `update blob_link set doubted_at = ?3 where repository_id = ?1 and coalesce(doubted_at, 0) < ?3
           and digest in (select digest from reference where manifest_id in (${ids}))`,
        ...[id, going, doubtedAt],
      )
      yield sql(`delete from reference where manifest_id in (${ids})`, id, going)
      // The files that registry:2 would read.
      const files = `select digest, length(content), 'condemned', cast(?3 as bigint) from manifest where ${these}`
      yield sql(`${doomed} ${files} ${doomedBefore}`, id, going, now)
      yield sql(`delete from manifest where ${these}`, id, going)
      yield* release(repository, going)
      return going.length
    },

    *condemn(digests: Digest[], before: number, now: number): Steps<Bytes[]> {
      yield* lock({ alone: digests })
      const due = yield sql(
        `delete from doomed where digest in (select value from ${textsOf('?1')}) and state = 'unlinked' and since <= ?2
         returning digest`,
        ...[digests, before],
      )
      return yield* condemnHeldByNone(
        due.map(({ digest }) => digest as Digest),
        now,
      )
    },

    *condemnFiles(files: Bytes[], now: number): Steps<Bytes[]> {
      const digests = files.map(({ digest }) => digest)
      yield* lock({ alone: digests })
      const names = new Set((yield sql(unknown(textsOf), digests)).map(({ value }) => String(value)))
      const condemned = files.filter(({ digest }) => names.has(digest))
      for (const file of condemned) yield* doom(file, 'condemned', now)
      return condemned
    },

    *beginDeleting(digests: Digest[], before: number, now: number): Steps<Bytes[]> {
      yield* lock({ alone: digests })
      const due = `digest in (select value from ${textsOf('?1')}) and state = 'condemned' and since <= ?2`
      yield sql(
        `delete from doomed where ${due} and (exists (select 1 from blob where blob.digest = doomed.digest)
           or exists (select 1 from manifest where manifest.digest = doomed.digest))`,
        ...[digests, before],
      )
      const text = `update doomed set state = 'deleting', since = ?3 where ${due} and not ${heldByBackup('?3')} returning digest, size`
      return (yield sql(text, digests, before, now)).map(bytesOf)
    },

    *finishDeleting(digests: Digest[], now: number): Steps<Row[]> {
      yield* lock({ alone: digests })
      const mine = `digest in (select value from ${textsOf('?1')})`
      yield sql(`update doomed set state = 'deleted', since = ?2 where ${mine} and state = 'deleting'`, digests, now)
      return yield sql(`select digest, content, pushed_at from manifest where ${mine} and trashed_at is null`, digests)
    },

    *resumeDeleting(before: number): Steps<void> {
      yield sql(`update doomed set state = 'condemned' where state = 'deleting' and since <= ?1`, before)
    },
    *forgetDeleted(before: number): Steps<void> {
      yield sql(`delete from doomed where state = 'deleted' and since <= ?1`, before)
    },

    *rescue(digest: Digest): Steps<boolean> {
      yield* lock({ alone: [digest] })
      yield sql(`delete from doomed where digest = ?1 and state in ('condemned', 'deleted')`, digest)
      return (yield sql(`select 1 from doomed where digest = ?1 and state = 'deleting'`, digest)).length === 0
    },
  }
}

/** Whether bytes with this name are being deleted or were a while ago. */
export function* isGoing(digest: Digest): Steps<boolean> {
  const text = `select 1 from doomed where digest = ?1 and state in ('deleting', 'deleted')`
  return (yield sql(text, digest)).length > 0
}

/** Has it looked at later whether any repository holds the blob. */
export function* suspect(digest: Digest, now: number): Steps<void> {
  const [blob] = yield sql('select digest, size from blob where digest = ?1', digest)
  if (blob) yield* doom(bytesOf(blob), 'unlinked', now)
}

const doomed = 'insert into doomed (digest, size, state, since)'
/** What is being deleted stays so; otherwise its time begins. */
const doomedBefore = `
  on conflict (digest) do update set size = excluded.size, state = excluded.state, since = excluded.since
  where doomed.state <> 'deleting'`

function* doom({ digest, size }: Bytes, state: 'unlinked' | 'condemned', now: number): Steps<void> {
  yield sql(`${doomed} values (?1, ?2, ?3, ?4) ${doomedBefore}`, digest, size, state, now)
}

/** Whether there are manifests of which it is not noted what they refer to. */
export function* isUnread(repository: number): Steps<boolean> {
  const text = 'select 1 from manifest where repository_id = ?1 and is_referring = 0 limit 1'
  return (yield sql(text, repository)).length > 0
}

function* isUploadedTo(repository: string, since: number): Steps<boolean> {
  const text = 'select 1 from upload where repository = ?1 and started_at > ?2 limit 1'
  return (yield sql(text, repository, since)).length > 0
}

const digestsOf = (rows: Row[]) => rows.map(({ digest }) => digest as Digest)

function bytesOf({ digest, size }: Row): Bytes {
  return { digest: digest as Digest, size: Number(size) }
}
