import type { Digest } from '../../oci/digest.ts'
import { sql, type Steps } from './statement.ts'

interface Referrer {
  digest: Digest
  mediaType: string
  size: number
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

// The facts that a push and the take-over of a volume write alike, each inside the transaction of its command.

/** Records the bytes of a blob, and that the repository holds it. */
export function* hold(
  repositoryId: number,
  { digest, size }: { digest: Digest; size: number },
  { storedAt, now }: { storedAt: number; now: number },
): Steps<void> {
  yield sql(
    `insert into blob (digest, size, stored_at) values (?1, ?2, ?3)
     on conflict (digest) do update set size = excluded.size where blob.size <> excluded.size`,
    digest,
    size,
    storedAt,
  )
  yield* link(repositoryId, digest, now)
}

/** Makes a blob that is there one of the repository's. What is to refer to it is still to come: its grace begins, or begins anew. */
export function* link(repositoryId: number, digest: Digest, now: number): Steps<void> {
  yield sql(
    `insert into blob_link (repository_id, digest, doubted_at) values (?1, ?2, ?3)
     on conflict (repository_id, digest) do update set doubted_at = excluded.doubted_at
     where blob_link.doubted_at < excluded.doubted_at - ${freshMs}`,
    ...[repositoryId, digest, now],
  )
}

/** Grace that began so short a time ago need not begin anew. */
export const freshMs = 60_000

/** Lists a manifest under its subject, if it has one. */
export function* refer(repositoryId: number, { subject, ...descriptor }: Referrer): Steps<void> {
  if (!subject) return
  const { mediaType, digest, size, artifactType, annotations } = descriptor
  yield sql(
    `insert into referrer (repository_id, subject, digest, artifact_type, descriptor) values (?1, ?2, ?3, ?4, ?5)
     on conflict (repository_id, subject, digest)
     do update set artifact_type = excluded.artifact_type, descriptor = excluded.descriptor`,
    repositoryId,
    subject,
    digest,
    artifactType ?? null,
    JSON.stringify({ mediaType, digest, size, artifactType, annotations }),
  )
}
