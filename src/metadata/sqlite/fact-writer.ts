import type { DatabaseSync } from 'node:sqlite'
import type { Digest } from '../../oci/digest.ts'

interface Referrer {
  digest: Digest
  mediaType: string
  size: number
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

/** The facts that a push and the take-over of a volume write alike, each inside the transaction of its command. */
export function createFactWriter(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text)
  const addBlob = sql(
    'insert into blob (digest, size, stored_at) values (?, ?, ?) on conflict (digest) do update set size = excluded.size where size <> excluded.size',
  )
  const addLink = sql('insert into blob_link (repository_id, digest) values (?, ?) on conflict do nothing')
  const addReferrer = sql('insert or replace into referrer values (?, ?, ?, ?, ?)')
  const setTag = sql(`
    insert into tag (repository_id, name, digest, moved_at) values (?, ?, ?, ?)
    on conflict (repository_id, name) do update set digest = excluded.digest, moved_at = excluded.moved_at`)
  // Where a tag points now, the tag itself says: its history is written when it moves on.
  const leave = sql(`
    insert or replace into tag_history (repository_id, name, digest, at)
    select repository_id, name, digest, moved_at from tag where repository_id = ? and name = ? and digest <> ?`)
  const setHistory = sql('insert or replace into tag_history (repository_id, name, digest, at) values (?, ?, ?, ?)')

  function link(repositoryId: number, digest: Digest): void {
    addLink.run(repositoryId, digest)
  }
  function remember(repositoryId: number, tag: string, digest: Digest, at: number): void {
    setHistory.run(repositoryId, tag, digest, at)
  }
  return {
    /** Records the bytes of a blob, and that the repository holds it. */
    hold(repositoryId: number, { digest, size }: { digest: Digest; size: number }, at: number): void {
      addBlob.run(digest, size, at)
      link(repositoryId, digest)
    },
    /** Makes a blob that is there one of the repository's. */
    link,
    /** Lists a manifest under its subject, if it has one. */
    refer(repositoryId: number, { subject, ...descriptor }: Referrer): void {
      if (!subject) return
      const { mediaType, digest, size, artifactType, annotations } = descriptor
      const text = JSON.stringify({ mediaType, digest, size, artifactType, annotations })
      addReferrer.run(repositoryId, subject, digest, artifactType ?? null, text)
    },
    /** Points the tag there and remembers where it pointed before. */
    tag(repositoryId: number, name: string, digest: Digest, at: number): void {
      leave.run(repositoryId, name, digest)
      setTag.run(repositoryId, name, digest, at)
    },
    /** Remembers where a tag pointed. */
    remember,
  }
}

export type FactWriter = ReturnType<typeof createFactWriter>
