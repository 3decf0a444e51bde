import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { type RepositoryFacts, registry2, type VolumeFacts } from '../volume-facts.ts'
import type { Run } from './writer.ts'

/** Rows read in one step of the event loop: about a millisecond. */
const pageSize = 500

interface Deps {
  database: DatabaseSync
  run: Run
  now(): number
  forget(repository: string, digest: Digest | undefined, tags: string[]): void
}

/** Reads for, and hands in, what keeps database and tree alike. */
export function createVolumeFacts({ database, run, now, forget }: Deps): VolumeFacts {
  const sql = (text: string) => database.prepare(text)
  const repositories = sql(`
    select name from repository where exists (select 1 from manifest where repository_id = repository.id)
      or exists (select 1 from blob_link where repository_id = repository.id) order by name`)
  const repository = sql('select id from repository where name = ?')
  const layers = sql(`
    select digest as key from blob_link where repository_id = ? and digest > ? order by digest limit ${pageSize}`)
  const manifests = sql(`
    select digest as key, pushed_at, media_type from manifest
    where repository_id = ? and digest > ? order by digest limit ${pageSize}`)
  const tags = sql(`
    select name as key, digest, moved_at from tag
    where repository_id = ? and name > ? order by name limit ${pageSize}`)
  const lastEvent = sql(`select seq from sqlite_sequence where name = 'event'`)
  const lastEventBefore = sql('select sequence from event where at < ? order by at desc, sequence desc limit 1')

  async function each(query: typeof layers, id: number, take: (row: Record<string, unknown>) => void): Promise<void> {
    for (let last = ''; ;) {
      const rows = query.all(id, last)
      for (const row of rows) take(row)
      if (rows.length < pageSize) return
      last = String(rows.at(-1)!.key)
      await setImmediate()
    }
  }

  return {
    repositories: () => repositories.all().map((row) => String(row.name)),

    async of(name) {
      const facts: RepositoryFacts = { layers: new Set(), manifests: new Map(), tags: new Map() }
      const id = repository.get(name)?.id as number | undefined
      if (id === undefined) return facts
      await each(layers, id, (row) => facts.layers.add(row.key as Digest))
      await each(manifests, id, (row) =>
        facts.manifests.set(row.key as Digest, { pushedAt: Number(row.pushed_at), mediaType: String(row.media_type) }),
      )
      await each(tags, id, (row) =>
        facts.tags.set(String(row.key), { digest: row.digest as Digest, movedAt: Number(row.moved_at) }),
      )
      return facts
    },

    async takeIn(name, found) {
      await run('takeIn', name, found, now())
      forget(
        name,
        undefined,
        found.tags.map((tag) => tag.name),
      )
    },
    dropBlob: (digest, since) => run('dropBlob', digest, since, { at: now(), actor: registry2 }),
    resizeBlob: (digest, size) => run('resizeBlob', digest, size),
    lastEvent: () => Number(lastEvent.get()?.seq ?? 0),
    lastEventBefore: (moment) => Number(lastEventBefore.get(moment.getTime())?.sequence ?? 0),
  }
}
