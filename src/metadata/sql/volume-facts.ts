import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { type RepositoryFacts, registry2, type VolumeFacts } from '../volume-facts.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import type { createReads } from './reads.ts'
import { type Row, sql, type Steps, type Value } from './statement.ts'

/** Rows read in one step of the event loop: about a millisecond. */
const pageSize = 500

const layers = `
  select digest as key from blob_link where repository_id = ?1 and digest > ?2 order by digest limit ${pageSize}`
const manifests = `
  select digest as key, pushed_at, media_type from manifest
  where repository_id = ?1 and digest > ?2 and trashed_at is null order by digest limit ${pageSize}`
const tags = `
  select name as key, digest, moved_at from tag
  where repository_id = ?1 and name > ?2 order by name limit ${pageSize}`

interface Deps {
  reads: ReturnType<typeof createReads>
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
  textsOf: Dialect['textsOf']
  forget(repository: string, digest: Digest | undefined, tags: string[]): void
}

/** Reads for, and hands in, what keeps database and tree alike. */
export function createVolumeFacts({ reads, read, run, now, textsOf, forget }: Deps): VolumeFacts {
  /** Pages of rows, each after the last key of the one before; requests come in between. */
  async function* pages(text: string, ...values: Value[]): AsyncGenerator<Row[]> {
    for (let last = ''; ;) {
      const rows = await read(rowsOf(text, ...values, last))
      yield rows
      if (rows.length < pageSize) return
      last = String(rows.at(-1)!.key)
      await setImmediate()
    }
  }

  async function each(text: string, id: number, take: (row: Row) => void): Promise<void> {
    for await (const rows of pages(text, id)) for (const row of rows) take(row)
  }

  return {
    async *repositories() {
      for await (const rows of pages(repositories)) for (const { key } of rows) yield String(key)
    },

    async of(name) {
      const facts: RepositoryFacts = { layers: new Set(), manifests: new Map(), tags: new Map() }
      const [found] = await read(rowsOf('select id from repository where name = ?1', name))
      if (!found) return facts
      const id = Number(found.id)
      await each(layers, id, (row) => facts.layers.add(row.key as Digest))
      await each(manifests, id, (row) =>
        facts.manifests.set(row.key as Digest, { pushedAt: Number(row.pushed_at), mediaType: String(row.media_type) }),
      )
      await each(tags, id, (row) =>
        facts.tags.set(String(row.key), { digest: row.digest as Digest, movedAt: Number(row.moved_at) }),
      )
      return facts
    },

    async needed(name, digests) {
      const found = new Set<Digest>()
      for (let from = 0; from < digests.length; from += pageSize)
        for (const { value } of await read(rowsOf(needed(textsOf), digests.slice(from, from + pageSize), name)))
          found.add(value as Digest)
      return found
    },

    async takeIn(name, found, since) {
      const isTaken = await run('takeIn', name, found, { now: now(), since })
      forget(
        name,
        undefined,
        found.tags.map((tag) => tag.name),
      )
      return isTaken
    },
    dropBlob: (digest, since) => run('dropBlob', digest, since, { at: now(), actor: registry2 }),
    resizeBlob: (digest, size) => run('resizeBlob', digest, size),
    identity: () => run('identify', randomUUID()),
    lastEvent: async () => read(reads.lastEvent()),
    lastEventBefore: async (moment) => read(reads.lastEventBefore(moment.getTime())),
  }
}

const repositories = `
  select name as key from repository where name > ?1
    and (exists (select 1 from manifest where repository_id = repository.id and trashed_at is null)
      or exists (select 1 from blob_link where repository_id = repository.id))
  order by name limit ${pageSize}`

const needed = (textsOf: Dialect['textsOf']) => `
  select value from ${textsOf('?1')} cross join repository where repository.name = ?2 and (
    exists (select 1 from reference where repository_id = repository.id and digest = value)
    or exists (select 1 from manifest where repository_id = repository.id and is_referring = 0))`

function* rowsOf(text: string, ...values: Value[]): Steps<Row[]> {
  return yield sql(text, ...values)
}
