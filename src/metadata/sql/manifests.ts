import type { Digest } from '../../oci/digest.ts'
import type { StoredManifest } from '../../registry/ports/metadata.ts'
import type { Dialect } from './dialect.ts'
import { freshMs } from './fact-writer.ts'
import { sql, type Steps } from './statement.ts'

interface Pushed extends StoredManifest {
  subject: Digest | undefined
  references: { digest: Digest }[]
}

/**
 * Stores a manifest and what it refers to. Of one that is there as it is only the grace begins anew: what refers to it may be on its
 * way. One in the trash is pushed anew: its age begins.
 */
export function* store(repositoryId: number, pushed: Pushed, at: number): Steps<void> {
  const { digest, mediaType, subject, content, references } = pushed
  const [changed] = yield sql(
    `insert into manifest (repository_id, digest, media_type, subject, pushed_at, content, is_referring, doubted_at)
     values (?1, ?2, ?3, ?4, ?5, ?6, 1, ?5)
     on conflict (repository_id, digest) do update
       set media_type = excluded.media_type, content = excluded.content, is_referring = 1, trashed_at = null, doubted_at = excluded.doubted_at,
         pushed_at = case when manifest.trashed_at is null then manifest.pushed_at else excluded.pushed_at end
     where manifest.trashed_at is not null or manifest.media_type <> excluded.media_type
       or manifest.content <> excluded.content or manifest.is_referring = 0
       or coalesce(manifest.doubted_at, 0) < excluded.doubted_at - ${freshMs}
     returning id`,
    ...[repositoryId, digest, mediaType, subject ?? null, at, content],
  )
  if (changed) yield* refers(repositoryId, Number(changed.id), references)
}

/** Notes what a manifest refers to. */
export function* refers(repositoryId: number, id: number, references: { digest: Digest }[]): Steps<void> {
  for (const { digest } of references)
    yield sql(
      'insert into reference (repository_id, digest, manifest_id) values (?1, ?2, ?3) on conflict do nothing',
      ...[repositoryId, digest, id],
    )
}

/**
 * Puts manifests of a repository, which no tag points to any more, into the trash: they can be restored, and nothing they refer to
 * goes. `digests` is the parameter ?2.
 */
export function createTrash({ textsOf }: Pick<Dialect, 'textsOf'>) {
  const given = `(select value from ${textsOf('?2')})`
  return function* trash(
    repositoryId: number,
    digests: Digest[],
    { at, by, why, tags, doubtedAt = at }: { at: number; by: string; why: string; tags: string[]; doubtedAt?: number },
  ): Steps<void> {
    // Their children, and what refers to them, may have nothing else that keeps them.
    yield sql(
      `update manifest set doubted_at = ?3 where repository_id = ?1 and coalesce(doubted_at, 0) < ?3 and digest in (
         select reference.digest from manifest as parent join reference on manifest_id = parent.id
           where parent.repository_id = ?1 and parent.digest in ${given}
         union all select digest from referrer where repository_id = ?1 and subject in ${given})`,
      ...[repositoryId, digests, doubtedAt],
    )
    yield sql(
      `delete from referrer where repository_id = ?1 and (subject, digest) in (
         select subject, digest from manifest where repository_id = ?1 and digest in ${given} and subject is not null)`,
      ...[repositoryId, digests],
    )
    yield sql(
      `update manifest set trashed_at = ?3, trashed_by = ?4, trashed_why = ?5, trashed_tags = ?6
       where repository_id = ?1 and digest in ${given}`,
      ...[repositoryId, digests, at, by, why, JSON.stringify(tags)],
    )
  }
}
