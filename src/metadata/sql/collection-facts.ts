import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import type { Amount, Bytes, CollectionFacts, Doubt, Expired, Kept, Loose, Unread } from '../collection-facts.ts'
import { heldByBackup, isLoose, unknown } from './collection-conditions.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { type Row, sql, type Steps, type Value } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
  textsOf: Dialect['textsOf']
}

/** Rows read in one step of the event loop. */
const pageSize = 250

/** Who takes away what nothing refers to. */
const collector = { name: 'garbage collection', address: '' }

/** What the collector asks, over a database that takes steps. */
export function createCollectionFacts({ read, run, now, textsOf }: Deps): CollectionFacts {
  /** Adds up `count` and `bytes` of rows, page by page, so that requests come in between; `key` is their order. */
  async function paged(
    limit: number,
    key: string[],
    page: (size: number, last: [number, Value, Value]) => Steps<Row[]>,
  ): Promise<Amount> {
    const sum = { count: 0, bytes: 0 }
    let last: [number, Value, Value] = [-1, 0, '']
    for (let left = limit; left > 0; left -= pageSize) {
      const found = await read(page(Math.min(pageSize, left), last))
      for (const { count, bytes } of found) {
        sum.count += Number(count)
        sum.bytes += Number(bytes ?? 0)
      }
      if (found.length < pageSize) break
      last = key.map((name) => found.at(-1)![name]) as typeof last
      await setImmediate()
    }
    return sum
  }

  /** Counts rows that have a `since`, page by page; the first columns of the key are numbers. */
  async function keptOf(text: string, key: string[], moment: number): Promise<Kept> {
    const kept = { count: 0, since: Infinity }
    let last: Value[] = [-1, 0, ''].slice(0, key.length)
    for (;;) {
      const found = await read(rows(text, pageSize, moment, ...last))
      for (const { since } of found)
        if (since !== null) {
          kept.count++
          kept.since = Math.min(kept.since, Number(since))
        }
      if (found.length < pageSize) return kept
      last = key.map((name) => found.at(-1)![name] as Value)
      await setImmediate()
    }
  }

  return {
    unread: async (limit, last) =>
      (await read(rows(unread, last?.repositoryId ?? 0, last?.id ?? 0, limit))).map(unreadOf),
    refer: (manifests) => run('referManifests', manifests),
    beginDoubts: (limit) => run('beginDoubts', limit, now()),
    doubts: async (before, limit, last) => (await read(doubts(before, limit, last))).map(doubtOf),
    judge: (repository, digests, limits) =>
      run('judgeDoubts', repository, digests, limits, { at: now(), actor: collector }),
    loose: async (before, limit, last) =>
      (await read(rows(loose, before, limit, last?.doubtedAt ?? -1, last?.id ?? 0))).map(looseOf),
    judgeManifests: (repository, digests, limits) =>
      run('judgeManifests', repository, digests, limits, { at: now(), actor: collector }),
    countPulls: (pulls) => run('countPulls', pulls, now()),
    countLoose: ({ before, pulledSince, limit }) =>
      paged(limit, ['doubted_at', 'id'], (size, [at, id]) => rows(looseFlags, before, size, at, id, pulledSince)).then(
        ({ count }) => count,
      ),
    kept: async ({ pulled, trash, grace }) => ({
      pulled: await keptOf(keptByPull, ['doubted_at', 'id'], pulled),
      trash: await keptOf(keptInTrash, ['trashed_at', 'id'], trash),
      grace: await keptOf(keptByGrace, ['doubted_at', 'repository_id', 'digest'], grace),
    }),
    countManifests: async (limit) =>
      amountOf(await read(rows('select count(*) as count from (select 1 from manifest limit ?1) as part', limit)))
        .count,
    expired: async (before, limit) => (await read(rows(expired, before, limit))).map(expiredOf),
    end: (repository, digests, limits) => run('endManifests', repository, digests, limits, now()),
    unlinked: async (before, limit) => (await read(rows(inState('unlinked'), before, limit))).map(bytesOf),
    condemn: (digests, before) => run('condemn', digests, before, now()),
    unknown: async (digests) => (await read(rows(unknown(textsOf), digests))).map(({ value }) => value as Digest),
    condemnFiles: (files) => run('condemnFiles', files, now()),
    condemned: async (before, limit) => (await read(rows(condemned, before, limit, now()))).map(bytesOf),
    beginDeleting: (digests, before) => run('beginDeleting', digests, before, now()),
    finishDeleting: async (digests) =>
      (await run('finishDeleting', digests, now())).map((row) => ({
        digest: row.digest as Digest,
        content: row.content as Uint8Array,
        pushedAt: Number(row.pushed_at),
      })),
    resume: (before) => run('resumeDeleting', before),
    forgetDeleted: (before) => run('forgetDeleted', before),
    async rescue(digest) {
      const [found] = await read(rows('select state from doomed where digest = ?1', digest))
      return found === undefined || found.state === 'unlinked' || run('rescue', digest)
    },
    garbage: (before) =>
      paged(Infinity, ['doubted_at', 'repository_id', 'digest'], (size, [at, id, digest]) =>
        rows(garbage, before, size, at, id, digest),
      ),
    doomed: async () => amountOf(await read(rows(doomed))),
    async trash(before) {
      const key = ['trashed_at', 'id']
      const manifests = await paged(Infinity, key, (size, [at, id]) => rows(trashed, before, size, at, id))
      const blobs = await paged(Infinity, key, (size, [at, id]) => rows(trashedAlone, before, size, at, id))
      return { count: manifests.count + blobs.count, bytes: manifests.bytes + blobs.bytes }
    },
    stored: async (limit) => amountOf(await read(rows(stored, limit))),
  }
}

// In the order of the index that has only those.
const unread = `
  select manifest.id, repository_id, name, digest, content from manifest join repository on repository.id = repository_id
  where is_referring = 0 and (repository_id, manifest.id) > (?1, ?2) order by repository_id, manifest.id limit ?3`
const loose = `
  select manifest.id, name, digest, doubted_at from manifest join repository on repository.id = repository_id
  where doubted_at <= ?1 and (doubted_at, manifest.id) > (?3, ?4) and trashed_at is null
  order by doubted_at, manifest.id limit ?2`
const looseFlags = `
  select doubted_at, manifest.id, case when coalesce(last_pulled_at, 0) <= ?5 and ${isLoose} then 1 else 0 end as count
  from manifest where doubted_at <= ?1 and (doubted_at, manifest.id) > (?3, ?4) and trashed_at is null
  order by doubted_at, manifest.id limit ?2`
const keptByPull = `
  select doubted_at, manifest.id, case when last_pulled_at > ?2 and ${isLoose} then last_pulled_at end as since from manifest
  where doubted_at is not null and (doubted_at, manifest.id) > (?3, ?4) and trashed_at is null
  order by doubted_at, manifest.id limit ?1`
const keptInTrash = `
  select trashed_at, id, trashed_at as since from manifest
  where trashed_at is not null and trashed_at > ?2 and (trashed_at, id) > (?3, ?4) order by trashed_at, id limit ?1`
const keptByGrace = `
  select doubted_at, repository_id, digest, case when exists (
    select 1 from reference where reference.repository_id = blob_link.repository_id and reference.digest = blob_link.digest
  ) then null else doubted_at end as since
  from blob_link where doubted_at > ?2 and (doubted_at, repository_id, digest) > (?3, ?4, ?5)
  order by doubted_at, repository_id, digest limit ?1`
const stored = 'select count(*) as count, sum(size) as bytes from (select size from blob limit ?1) as part'
const expired = `
  select name, digest, trashed_at from manifest join repository on repository.id = repository_id
  where trashed_at is not null and trashed_at <= ?1 order by trashed_at limit ?2`
const inState = (state: string) =>
  `select digest, size from doomed where state = '${state}' and since <= ?1 order by since limit ?2`
/** None while a backup holds them: see `heldByBackup`. */
const condemned = `
  select digest, size from doomed where state = 'condemned' and since <= ?1 and not ${heldByBackup('?3')} order by since limit ?2`
/** The bytes of a blob count where it goes last: in the first of its repositories, if it goes in the others as well. */
const garbage = `
  select doubted_at, repository_id, digest, case when needed then 0 else 1 end as count,
    case when needed then 0 else (
      select size from blob where blob.digest = page.digest and not exists (
        select 1 from blob_link as other where other.digest = page.digest and other.repository_id <> page.repository_id and (
          other.repository_id < page.repository_id or other.doubted_at is null or other.doubted_at > ?1 or exists (
            select 1 from reference where reference.repository_id = other.repository_id and reference.digest = other.digest
          )))
    ) end as bytes
  from (
    select doubted_at, repository_id, digest, exists (
      select 1 from reference where reference.repository_id = blob_link.repository_id and reference.digest = blob_link.digest
    ) as needed
    from blob_link where doubted_at <= ?1 and (doubted_at, repository_id, digest) > (?3, ?4, ?5)
    order by doubted_at, repository_id, digest limit ?2) as page
  order by doubted_at, repository_id, digest`
const doomed = `select count(*) as count, sum(size) as bytes from doomed where state in ('condemned', 'deleting')`
const trashPage = `
  from manifest where trashed_at is not null and trashed_at <= ?1 and (trashed_at, id) > (?3, ?4)
  order by trashed_at, id limit ?2`
const trashed = `select trashed_at, id, 1 as count, length(content) as bytes ${trashPage}`
/**
 * Of each manifest in the trash from before the moment: the blobs that only such refer to, where it is the first to do so. Those that
 * another repository has count there, or not at all.
 */
const trashedAlone = `
  select page.trashed_at, page.id, count(blob.digest) as count, sum(size) as bytes
  from (select trashed_at, id ${trashPage}) as page
  left join reference on reference.manifest_id = page.id and not exists (
    select 1 from reference as other join manifest on manifest.id = other.manifest_id
    where other.repository_id = reference.repository_id and other.digest = reference.digest
      and (other.manifest_id < reference.manifest_id or trashed_at is null or trashed_at > ?1))
  left join blob on blob.digest = reference.digest and not exists (
    select 1 from blob_link as held where held.digest = blob.digest and held.repository_id <> reference.repository_id and (
      held.repository_id < reference.repository_id or not exists (
        select 1 from reference as own where own.repository_id = held.repository_id and own.digest = held.digest
      ) or exists (
        select 1 from reference as own join manifest on manifest.id = own.manifest_id
        where own.repository_id = held.repository_id and own.digest = held.digest and (trashed_at is null or trashed_at > ?1)
      )))
  group by page.trashed_at, page.id order by page.trashed_at, page.id`

function* rows(text: string, ...values: Value[]): Steps<Row[]> {
  return yield sql(text, ...values)
}

function* doubts(before: number, limit: number, last: Doubt | undefined): Steps<Row[]> {
  const { doubtedAt, repositoryId, digest } = last ?? { doubtedAt: -1, repositoryId: 0, digest: '' }
  return yield sql(
    `select repository_id, name, digest, doubted_at from blob_link join repository on repository.id = repository_id
     where doubted_at <= ?2 and (doubted_at, repository_id, digest) > (?1, ?3, ?4)
     order by doubted_at, repository_id, digest limit ?5`,
    ...[doubtedAt, before, repositoryId, digest, limit],
  )
}

const bytesOf = ({ digest, size }: Row): Bytes => ({ digest: digest as Digest, size: Number(size) })
const amountOf = ([row]: Row[]): Amount => ({ count: Number(row?.count ?? 0), bytes: Number(row?.bytes ?? 0) })
const doubtOf = ({ repository_id: repositoryId, name, digest, doubted_at: doubtedAt }: Row): Doubt => ({
  repository: String(name),
  repositoryId: Number(repositoryId),
  digest: digest as Digest,
  doubtedAt: Number(doubtedAt),
})
const expiredOf = ({ name, digest, trashed_at: trashedAt }: Row): Expired => ({
  repository: String(name),
  digest: digest as Digest,
  trashedAt: Number(trashedAt),
})
const looseOf = ({ id, name, digest, doubted_at: doubtedAt }: Row): Loose => ({
  id: Number(id),
  repository: String(name),
  digest: digest as Digest,
  doubtedAt: Number(doubtedAt),
})
const unreadOf = ({ id, repository_id: repositoryId, name, digest, content }: Row): Unread => ({
  id: Number(id),
  repositoryId: Number(repositoryId),
  repository: String(name),
  digest: digest as Digest,
  content: content as Uint8Array,
})
