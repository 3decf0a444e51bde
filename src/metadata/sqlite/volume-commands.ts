import type { DatabaseSync } from 'node:sqlite'
import type { Digest } from '../../oci/digest.ts'
import type { Happening } from '../../registry/ports/events.ts'
import type { Found } from '../volume-facts.ts'
import type { FactWriter } from './fact-writer.ts'

interface Shared {
  ensureRepository(name: string): number
  record(happening: Happening): void
}

/** The commands that bring the database into agreement with what another registry left in the volume. */
export function createVolumeCommands(
  database: DatabaseSync,
  facts: FactWriter,
  ensureRepository: Shared['ensureRepository'],
) {
  const sql = (text: string) => database.prepare(text)
  const addManifest = sql(`
    insert into manifest (repository_id, digest, media_type, subject, pushed_at, content, last_pulled_at)
    values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing`)
  const named = sql('select 1 from event where sequence > ? and instr(body, ?) limit 1')
  const holders = sql('select name from blob_link join repository on repository.id = repository_id where digest = ?')
  const removeLinks = sql('delete from blob_link where digest = ?')
  const removeBlob = sql('delete from blob where digest = ?')
  const resizeBlob = sql('update blob set size = ? where digest = ?')

  return {
    takeIn(repository: string, { blobs, manifests, tags }: Found, now: number): void {
      const id = ensureRepository(repository)
      for (const blob of blobs) facts.hold(id, blob, blob.storedAt)
      for (const { digest, mediaType, content, subject, artifactType, annotations, pushedAt } of manifests) {
        // Nobody knows when it was pulled; "now" keeps it from being taken for unused.
        addManifest.run(id, digest, mediaType, subject ?? null, pushedAt, content, now)
        facts.refer(id, { subject, digest, mediaType, size: content.length, artifactType, annotations })
      }
      for (const { name, digest, movedAt, history } of tags) {
        for (const move of history) facts.remember(id, name, move.digest, move.at)
        facts.tag(id, name, digest, movedAt) // last: it knows best when the tag came to where it is
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
