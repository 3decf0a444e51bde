import type { Digest } from '../../oci/digest.ts'
import type { Amount, Bytes, CollectionFacts, Doubt, Expired, Loose, Unread } from '../collection-facts.ts'
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

/** Who takes away what nothing refers to. */
const collector = { name: 'garbage collection', address: '' }

/** What the collector asks, over a database that takes steps. */
export function createCollectionFacts({ read, run, now, textsOf }: Deps): CollectionFacts {
  return {
    unread: async (after, limit) => (await read(rows(unread, after, limit))).map(unreadOf),
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
    countLoose: async ({ before, pulledSince, limit }) =>
      amountOf(await read(rows(looseCount, before, pulledSince, limit))).count,
    countManifests: async (limit) =>
      amountOf(await read(rows('select count(*) as count from (select 1 from manifest limit ?1) as some', limit)))
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
    garbage: async (before) => amountOf(await read(rows(garbage, before))),
    doomed: async () => amountOf(await read(rows(doomed))),
    trash: async (before) => amountOf(await read(rows(trash, before))),
    stored: async (limit) => amountOf(await read(rows(stored, limit))),
  }
}

const unread = `
  select manifest.id, name, digest, content from manifest join repository on repository.id = repository_id
  where is_referring = 0 and manifest.id > ?1 order by manifest.id limit ?2`
const loose = `
  select manifest.id, name, digest, doubted_at from manifest join repository on repository.id = repository_id
  where doubted_at <= ?1 and (doubted_at, manifest.id) > (?3, ?4) and trashed_at is null
  order by doubted_at, manifest.id limit ?2`
const looseCount = `
  select count(*) as count from (
    select * from manifest where doubted_at <= ?1 and trashed_at is null order by doubted_at, id limit ?3) as manifest
  where coalesce(last_pulled_at, 0) <= ?2 and ${isLoose}`
const stored = 'select count(*) as count, sum(size) as bytes from (select size from blob limit ?1) as some'
const expired = `
  select name, digest, trashed_at from manifest join repository on repository.id = repository_id
  where trashed_at is not null and trashed_at <= ?1 order by trashed_at limit ?2`
const inState = (state: string) =>
  `select digest, size from doomed where state = '${state}' and since <= ?1 order by since limit ?2`
/** None while a backup holds them: see `heldByBackup`. */
const condemned = `
  select digest, size from doomed where state = 'condemned' and since <= ?1 and not ${heldByBackup('?3')} order by since limit ?2`
const garbage = `
  select count(*) as count, sum(size) as bytes from blob_link join blob on blob.digest = blob_link.digest
  where doubted_at <= ?1 and doubted_at is not null and not exists (
    select 1 from reference where reference.repository_id = blob_link.repository_id and reference.digest = blob_link.digest)`
const doomed = `select count(*) as count, sum(size) as bytes from doomed where state in ('condemned', 'deleting')`
/** Blobs that only manifests of the trash from before the moment refer to, and those manifests. */
const trash = `
  select count(*) as count, sum(bytes) as bytes from (
    select length(content) as bytes from manifest where trashed_at <= ?1
    union all
    select size as bytes from (
      select distinct reference.repository_id, reference.digest from manifest
      join reference on manifest_id = manifest.id where trashed_at <= ?1) as going
    join blob on blob.digest = going.digest
    where not exists (
      select 1 from reference join manifest on manifest.id = manifest_id
      where reference.repository_id = going.repository_id and reference.digest = going.digest
        and (trashed_at is null or trashed_at > ?1))) as parts`

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
const unreadOf = ({ id, name, digest, content }: Row): Unread => ({
  id: Number(id),
  repository: String(name),
  digest: digest as Digest,
  content: content as Uint8Array,
})
