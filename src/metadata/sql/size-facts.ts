import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import type { ImageSizes, RepositorySizes, SizeFacts, Unmeasured } from '../size-facts.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { type Row, sql, type Steps, type Value } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  textsOf: Dialect['textsOf']
}

/** Rows read in one step of the event loop. */
const pageSize = 500

/** How much there is of what, over a database that takes steps. */
export function createSizeFacts({ read, run, textsOf }: Deps): SizeFacts {
  /** Adds up the columns of a statement, page by page, so that requests come in between. */
  async function sums(text: string, ...values: (string | number)[]): Promise<Record<string, number>> {
    const total: Record<string, number> = {}
    for (let last = ''; ;) {
      const found = await read(rows(text, pageSize, last, ...values))
      for (const { key: _key, ...columns } of found)
        for (const [name, value] of Object.entries(columns)) total[name] = (total[name] ?? 0) + Number(value)
      if (found.length < pageSize) return total
      last = String(found.at(-1)!.key)
      await setImmediate()
    }
  }

  return {
    async image(repository, digest) {
      const [found] = await read(rows(imageSizes, repository, digest))
      if (!found || Number(found.parts) === 0) return undefined
      return { stored: Number(found.stored), exclusive: Number(found.exclusive) } satisfies ImageSizes
    },
    repositories: async (within) =>
      (await read(rows(named, within ?? '', within === undefined ? '' : `${within}/`))).map(({ name }) => String(name)),
    async repository(name) {
      const [found] = await read(rows('select id from repository where name = ?1', name))
      const none: RepositorySizes = { name, stored: 0, first: 0, exclusive: 0 }
      if (!found) return none
      const id = Number(found.id)
      const organization = name.split('/')[0]!
      const blobs = await sums(linked, id, organization, `${organization}/`)
      const manifests = await sums(kept, id, organization, `${organization}/`)
      const sum = (key: 'stored' | 'first' | 'exclusive') => (blobs[key] ?? 0) + (manifests[key] ?? 0)
      return { name, stored: sum('stored'), first: sum('first'), exclusive: sum('exclusive') }
    },
    async stored(name) {
      const [found] = await read(rows('select id from repository where name = ?1', name))
      if (!found) return 0
      const { bytes: blobs = 0 } = await sums(linkedBytes, Number(found.id))
      const { bytes: manifests = 0 } = await sums(keptBytes, Number(found.id))
      return blobs + manifests
    },
    async all() {
      const { bytes: blobs = 0 } = await sums(
        'select digest as key, size as bytes from blob where digest > ?2 order by digest limit ?1',
      )
      const { bytes: manifests = 0 } = await sums(everyManifest)
      return { blobs, manifests }
    },
    async unpacked(repository, digests) {
      const found = await read(rows(unpackedOf(textsOf('?2')), repository, digests))
      return new Map(found.map(({ digest, unpacked }) => [digest as Digest, Number(unpacked)]))
    },
    unmeasured: {
      async next(which) {
        const [found] = await read(
          which === 'asked' ? rows(askedFor) : rows(unmeasured, which.after, which.pushedBefore),
        )
        return found && unmeasuredOf(found)
      },
      ask: (repository, digest) => run('askForMeasure', repository, digest),
      note: (digest, unpacked) => run('noteUnpacked', digest, unpacked),
      end: (id, found) => run('endMeasure', id, found),
    },
  }
}

/** The commands about what layers take unpacked. */
export const measureCommands = {
  *askForMeasure(repository: string, digest: Digest): Steps<void> {
    yield sql(
      `update manifest set to_measure = 2 where to_measure <> 2 and digest = ?2
         and repository_id = (select id from repository where name = ?1)`,
      ...[repository, digest],
    )
  },
  *noteUnpacked(digest: Digest, unpacked: number): Steps<void> {
    yield sql('update blob set unpacked = ?2 where digest = ?1', digest, unpacked)
  },
  *endMeasure(id: number, found: { platform: string } | undefined): Steps<void> {
    if (!found) yield sql('update manifest set to_measure = 1 where id = ?1 and to_measure <> 1', id)
    else yield sql('update manifest set to_measure = 0, platform = ?2 where id = ?1', id, found.platform)
  },
}

const unpackedOf = (digests: string) => `
  select blob.digest, unpacked from ${digests} cross join blob join blob_link on blob_link.digest = blob.digest
  join repository on repository.id = repository_id
  where name = ?1 and blob.digest = value and unpacked is not null`

const one = `select manifest.id, name, digest, content from manifest join repository on repository.id = repository_id`
// `to_measure > 0` is in the condition because the index has it in its own.
const askedFor = `${one} where to_measure > 0 and to_measure = 2 order by manifest.id limit 1`
const unmeasured = `
  ${one} where to_measure > 0 and to_measure = 1 and manifest.id > ?1 and pushed_at <= ?2 order by manifest.id limit 1`

function unmeasuredOf({ id, name, digest, content }: Row): Unmeasured {
  return {
    id: Number(id),
    repository: String(name),
    digest: digest as Digest,
    content: Buffer.from(content as Uint8Array),
  }
}

const named = `
  select name from repository where (?1 = '' or name = ?1 or substr(name, 1, length(?2)) = ?2)
    and (exists (select 1 from manifest where repository_id = repository.id)
      or exists (select 1 from blob_link where repository_id = repository.id))
  order by name`

const everyManifest = `
  select digest as key, max(length(content)) as bytes from manifest where digest > ?2 group by digest order by digest limit ?1`

/** Of the bytes that one of two tables says the repository ?3 has: those nobody else has, and those its organization has first here. */
function holdings({ table, size }: { table: 'blob_link' | 'manifest'; size: string }): string {
  const others = `from ${table} as other where other.digest = own.digest and other.repository_id`
  return `
    select own.digest as key, ${size} as stored,
      case when exists (select 1 ${others} <> ?3) then 0 else ${size} end as exclusive,
      case when exists (
        select 1 from ${table} as other join repository on repository.id = other.repository_id
        where other.digest = own.digest and other.repository_id < ?3
          and (repository.name = ?4 or substr(repository.name, 1, length(?5)) = ?5)) then 0 else ${size} end as first
    from ${table} as own ${table === 'blob_link' ? 'join blob on blob.digest = own.digest' : ''}
    where own.repository_id = ?3 and own.digest > ?2 order by own.digest limit ?1`
}
const linkedBytes = `
  select blob_link.digest as key, size as bytes from blob_link join blob on blob.digest = blob_link.digest
  where repository_id = ?3 and blob_link.digest > ?2 order by blob_link.digest limit ?1`
const keptBytes = `
  select digest as key, length(content) as bytes from manifest
  where repository_id = ?3 and digest > ?2 order by digest limit ?1`
const linked = holdings({ table: 'blob_link', size: 'size' })
const kept = holdings({ table: 'manifest', size: 'length(own.content)' })

/**
 * `part`: the manifest and all below it; `going`: what of that nothing else keeps, neither a tag nor an index. A blob is freed when no
 * manifest but those refers to it, and no other repository holds it.
 */
const imageSizes = `
  with recursive part (id, repository_id, digest, size) as (
    select manifest.id, repository_id, digest, length(content) from manifest join repository on repository.id = repository_id
    where name = ?1 and digest = ?2
    union
    select child.id, child.repository_id, child.digest, length(child.content) from part
    join reference on manifest_id = part.id
    join manifest as child on child.repository_id = part.repository_id and child.digest = reference.digest),
  going as (
    select * from part where digest = ?2 or (
      not exists (select 1 from tag where tag.repository_id = part.repository_id and tag.digest = part.digest)
      and not exists (select 1 from reference where reference.repository_id = part.repository_id
        and reference.digest = part.digest and manifest_id not in (select id from part)))),
  needed as (
    select distinct blob.digest, blob.size, part.repository_id from part join reference on manifest_id = part.id
    join blob_link on blob_link.repository_id = part.repository_id and blob_link.digest = reference.digest
    join blob on blob.digest = reference.digest)
  select (select count(*) from part) as parts,
    coalesce((select sum(size) from part), 0) + coalesce((select sum(size) from needed), 0) as stored,
    coalesce((select sum(size) from going where not exists (
      select 1 from manifest where manifest.digest = going.digest and manifest.id <> going.id)), 0)
    + coalesce((select sum(size) from needed where not exists (
      select 1 from reference where reference.repository_id = needed.repository_id and reference.digest = needed.digest
        and manifest_id not in (select id from going))
      and not exists (select 1 from blob_link where blob_link.digest = needed.digest
        and blob_link.repository_id <> needed.repository_id)), 0) as exclusive`

function* rows(text: string, ...values: Value[]): Steps<Row[]> {
  return yield sql(text, ...values)
}
