import type { DatabaseSync } from 'node:sqlite'
import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import type { Found } from '../volume-facts.ts'

interface Shared {
  ensureRepository(name: string): number
  record(happening: Happening): void
}

/** The commands that bring the database into agreement with what another registry left in the volume. */
export function createVolumeCommands(database: DatabaseSync, ensureRepository: Shared['ensureRepository']) {
  const sql = (text: string) => database.prepare(text)
  const addBlob = sql(
    'insert into blob (digest, size, stored_at) values (?, ?, ?) on conflict (digest) do update set size = excluded.size where size <> excluded.size',
  )
  const addLink = sql('insert into blob_link (repository_id, digest) values (?, ?) on conflict do nothing')
  const addManifest = sql(`
    insert into manifest (repository_id, digest, media_type, subject, pushed_at, content, last_pulled_at)
    values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing`)
  const addReferrer = sql('insert or replace into referrer values (?, ?, ?, ?, ?)')
  const setTag = sql(`
    insert into tag (repository_id, name, digest, moved_at) values (?, ?, ?, ?)
    on conflict (repository_id, name) do update set digest = excluded.digest, moved_at = excluded.moved_at`)
  const setHistory = sql('insert or replace into tag_history (repository_id, name, digest, at) values (?, ?, ?, ?)')
  const named = sql('select 1 from event where sequence > ? and instr(body, ?) limit 1')
  const holders = sql('select name from blob_link join repository on repository.id = repository_id where digest = ?')
  const removeLinks = sql('delete from blob_link where digest = ?')
  const removeBlob = sql('delete from blob where digest = ?')
  const resizeBlob = sql('update blob set size = ? where digest = ?')

  return {
    takeIn(repository: string, { blobs, manifests, tags }: Found, now: number): void {
      const id = ensureRepository(repository)
      for (const { digest, size, storedAt } of blobs) {
        addBlob.run(digest, size, storedAt)
        addLink.run(id, digest)
      }
      for (const { digest, mediaType, content, subject, artifactType, annotations, pushedAt } of manifests) {
        // Nobody knows when it was pulled; "now" keeps it from being taken for unused.
        addManifest.run(id, digest, mediaType, subject ?? null, pushedAt, content, now)
        if (!subject) continue
        const descriptor = { mediaType, digest, size: content.length, artifactType, annotations }
        addReferrer.run(id, subject, digest, artifactType ?? null, JSON.stringify(descriptor))
      }
      for (const { name, digest, movedAt, history } of tags) {
        setTag.run(id, name, digest, movedAt)
        for (const move of history) setHistory.run(id, name, move.digest, move.at)
        setHistory.run(id, name, digest, movedAt)
      }
    },

    dropBlob(digest: Digest, since: number, record: Shared['record']): boolean {
      if (named.get(since, digest)) return false
      for (const { name } of holders.all(digest)) record({ type: 'blob.deleted', repository: String(name), digest })
      removeLinks.run(digest)
      return removeBlob.run(digest).changes > 0
    },

    resizeBlob(digest: Digest, size: number): void {
      resizeBlob.run(size, digest)
    },
  }
}
