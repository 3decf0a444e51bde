import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Digest, digestOf, algorithmOf } from '../../oci/digest.ts'
import type { Reference } from '../../oci/reference.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { MetadataStore, StoredManifest, Upload } from '../../registry/ports/metadata.ts'
import { createByteCache } from './byte-cache.ts'
import type { VolumeFacts } from '../volume-facts.ts'
import { openWithReserve } from './reserve.ts'
import { migrate } from './schema.ts'
import type { UploadStates } from '../upload-states.ts'
import { createUploadStates } from './upload-states.ts'
import { createVolumeFacts } from './volume-facts.ts'
import { createWriter } from './writer.ts'

export type SqliteStore = MetadataStore & { volume: VolumeFacts; uploadStates: UploadStates }

interface SqliteOptions {
  /** The folder of the database and its lock. */
  folder: string
  clock: { now(): Date }
  /** Told about events right after their commit; what must not be missed is read from the log instead. */
  onEvents?: (events: RegistryEvent[]) => void
  /** Told how long each transaction took, from its commands to its being on the disk. */
  onCommit?: ((seconds: number) => void) | undefined
  /** Begins with an empty database and keeps the one that is there under another name. */
  anew?: boolean
}

interface ReferrersPart {
  descriptors: string | null
  last: string | null
}

const manifestCacheBytes = 16 << 20
const tagCacheBytes = 4 << 20
/**
 * Facts in SQLite: one thread writes (`writer.ts`), this one reads. Because no other process writes, manifests and tags may be
 * kept in memory; what a write changed is dropped before the write is acknowledged.
 * @throws when another process holds the folder
 */
export function createSqliteStore(options: SqliteOptions): SqliteStore {
  const { folder, clock, onEvents, onCommit, anew } = options
  makeFolder(folder)
  const lock = lockFolder(folder)
  const path = join(folder, 'holdfast.db')
  if (anew) putAside(path, clock.now())
  const database = openWithReserve(folder, () => openDatabase(path))
  for (const name of [folder, dirname(folder), dirname(dirname(folder))]) syncFolder(name) // the store's own names
  const { run, close } = createWriter(path, (events) => onEvents?.(events), onCommit)
  const cachedManifests = createByteCache<StoredManifest>(manifestCacheBytes)
  const cachedTags = createByteCache<Digest>(tagCacheBytes)
  const queries = createQueries(database)
  const now = () => clock.now().getTime()

  function findManifest(repository: string, reference: Reference): StoredManifest | undefined {
    const tag = 'tag' in reference ? reference.tag : undefined
    const known = tag === undefined ? (reference as { digest: Digest }).digest : cachedTags.get(`${repository}:${tag}`)
    const cached = known && cachedManifests.get(`${repository}:${known}`)
    if (cached) return cached
    const row =
      tag === undefined ? queries.manifestByDigest.get(repository, known!) : queries.manifestByTag.get(repository, tag)
    if (!row) return undefined
    const manifest = readManifest(row, repository)
    cachedManifests.set(`${repository}:${manifest.digest}`, manifest, manifest.content.length + 500)
    if (tag !== undefined) cachedTags.set(`${repository}:${tag}`, manifest.digest, 500)
    return manifest
  }

  function forget(repository: string, digest: Digest | undefined, tags: string[]): void {
    if (digest) cachedManifests.delete(`${repository}:${digest}`)
    for (const tag of tags) cachedTags.delete(`${repository}:${tag}`)
  }

  return {
    repositories: {
      list: async ({ limit, last }) => names(queries.repositories.all(last ?? '', limit)),
    },
    blobs: {
      find: async (repository, digest) => queries.blob.get(repository, digest) as { size: number } | undefined,
      findAnywhere: async (digest) => queries.blobAnywhere.get(digest) as { size: number } | undefined,
      repositoriesOf: async (digest) => names(queries.repositoriesOfBlob.all(digest)),
      list: async ({ limit, last }) => queries.blobs.all(last ?? '', limit) as { digest: Digest; size: number }[],
      commit: (blob, actor) => run('commitBlob', blob, { at: now(), actor }),
      mount: (blob, actor) => run('mountBlob', blob, { at: now(), actor }),
      unlink: (repository, digest, actor) => run('unlinkBlob', repository, digest, { at: now(), actor }),
    },
    manifests: {
      find: async (repository, reference) => findManifest(repository, reference),
      async push(push, actor) {
        const outcome = await run('pushManifest', push, { at: now(), actor })
        forget(push.repository, push.manifest.digest, push.tags)
        return outcome
      },
      async delete(repository, digest, actor) {
        const tags = await run('deleteManifest', repository, digest, { at: now(), actor })
        forget(repository, digest, tags ?? [])
        return tags
      },
      async referrers(repository, subject, artifactTypes, { limit, last, bytes }) {
        const types = artifactTypes.length > 0 ? JSON.stringify(artifactTypes) : null
        const wanted = { repository, subject, types }
        const from = { ...wanted, last: last ?? '' }
        const { total } = queries.referrersTotal.get({ repository, subject }) as { total: number }
        const count = total <= bytes ? limit : fitting(queries.referrerSizes.iterate({ ...from, limit }), bytes)
        const part = queries.referrers.get({ ...from, limit: count }) as unknown as ReferrersPart
        const more = part.last !== null && queries.referrerSizes.get({ ...wanted, last: part.last, limit: 1 })
        return { descriptors: part.descriptors ?? '', next: more ? part.last! : undefined }
      },
    },
    tags: {
      async list(repository, { limit, last }) {
        const found = queries.repository.get(repository)
        return found && names(queries.tags.all(found.id as number, last ?? '', limit))
      },
      async delete(repository, tag, actor) {
        const removed = await run('deleteTag', repository, tag, { at: now(), actor })
        forget(repository, undefined, [tag])
        return removed
      },
      history: async (repository, tag) =>
        queries.history
          .all(repository, tag)
          .map((row) => ({ digest: row.digest as Digest, at: new Date(Number(row.at)) })),
    },
    uploads: {
      create: (upload) => run('createUpload', upload, now()),
      find: async (id) => queries.upload.get(id) as unknown as Upload | undefined,
      delete: (id) => run('deleteUpload', id),
      startedBefore: async (moment) => queries.oldUploads.all(moment.getTime()).map((row) => String(row.id)),
    },
    events: {
      after: async (sequence, limit) =>
        queries.events
          .all(sequence, limit)
          .map((row) => ({ ...JSON.parse(String(row.body)), sequence: Number(row.sequence) })),
      last: async () => Number(queries.lastEvent.get()?.sequence ?? 0),
      record: (happenings) => run('recordEvents', happenings, now()),
      deleteBefore: (moment) => run('deleteEventsBefore', moment.getTime()),
    },
    cursors: {
      async get(name) {
        const row = queries.cursor.get(name)
        return row && { sequence: Number(row.sequence), movedAt: new Date(Number(row.moved_at)) }
      },
      set: (name, sequence) => run('setCursor', name, sequence, now()),
      delete: (name) => run('deleteCursor', name),
      names: async () => names(queries.cursorNames.all()),
    },
    jobs: {
      claim: (name, leaseSeconds) => run('claimJob', name, now(), leaseSeconds * 1000),
      release: (name, seconds) => run('releaseJob', name, now() + seconds * 1000),
    },
    volume: createVolumeFacts({ database, run, now, forget }),
    uploadStates: createUploadStates({ database, run, now }),
    async close() {
      await close()
      database.close()
      lock.close()
    },
  }
}

/** @throws when the bytes are not what the digest says */
function readManifest(row: Record<string, unknown>, repository: string): StoredManifest {
  const stored = row.content as Uint8Array
  const content = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  const digest = row.digest as Digest
  if (digestOf(content, algorithmOf(digest)) !== digest)
    throw new Error(`Cannot serve manifest ${digest} of ${repository}: its bytes are damaged`)
  return { digest, mediaType: String(row.media_type), content }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (cause) {
    throw new Error(`Cannot make ${folder}: ${(cause as Error).message}; may this user write there?`, { cause })
  }
}

function openDatabase(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path)
    database.exec('pragma journal_mode = wal; pragma synchronous = full')
    migrate(database)
    database.exec('pragma query_only = 1; pragma cache_size = -4000')
    return database
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `Cannot open ${path}: ${reason}; can this user write to the folder and its files? If the database is damaged, holdfast reindex makes it anew`,
      { cause },
    )
  }
}

/** Gives a database and its log another name, with the moment in it. */
function putAside(path: string, moment: Date): void {
  const aside = `${path}.${moment.toISOString().replaceAll(':', '-')}`
  for (const part of ['', '-wal', '-shm']) if (existsSync(path + part)) renameSync(path + part, aside + part)
}

/** Makes the names in a folder durable; a folder above the store that this user may not read is somebody else's. */
function syncFolder(path: string): void {
  try {
    const folder = openSync(path, 'r')
    fsyncSync(folder)
    closeSync(folder)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM'))) throw error
  }
}

const fromReferrers = `
  from referrer join repository on repository.id = repository_id
  where name = :repository and subject = :subject and digest > :last
    and (:types is null or artifact_type in (select value from json_each(:types)))`

function createQueries(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text)
  return {
    repository: sql('select id from repository where name = ?'),
    repositories: sql(`
      select name from repository where name > ? and exists (select 1 from manifest where repository_id = repository.id)
      order by name limit ?`),
    blob: sql(`
      select size from blob join blob_link using (digest) join repository on repository.id = repository_id where name = ? and digest = ?`),
    blobAnywhere: sql('select size from blob where digest = ?'),
    blobs: sql('select digest, size from blob where digest > ? order by digest limit ?'),
    repositoriesOfBlob: sql(
      'select name from repository join blob_link on repository.id = repository_id where digest = ? order by name limit 100',
    ),
    manifestByDigest: sql(`
      select digest, media_type, content from manifest join repository on repository.id = repository_id where name = ? and digest = ?`),
    manifestByTag: sql(`
      select manifest.digest, media_type, content from repository join tag on tag.repository_id = repository.id
      join manifest on manifest.repository_id = repository.id and manifest.digest = tag.digest
      where repository.name = ? and tag.name = ?`),
    // Joined by the database: a row each, made in JavaScript, takes longer than finding them.
    referrers: sql(`
      select group_concat(descriptor, ',') as descriptors, max(digest) as last from (
        select digest, descriptor ${fromReferrers} order by digest limit :limit)`),
    referrerSizes: sql(`select octet_length(descriptor) as size ${fromReferrers} order by digest limit :limit`),
    referrersTotal: sql(`
      select total(octet_length(descriptor)) as total from referrer join repository on repository.id = repository_id
      where name = :repository and subject = :subject`),
    tags: sql('select name from tag where repository_id = ? and name > ? order by name limit ?'),
    history: sql(`
      select digest, at from tag_history join repository on repository.id = repository_id
      where repository.name = ? and tag_history.name = ? order by at desc, digest`),
    cursor: sql('select sequence, moved_at from cursor where name = ?'),
    upload: sql('select id, repository, algorithm from upload where id = ?'),
    oldUploads: sql('select id from upload where started_at < ?'),
    lastEvent: sql("select seq as sequence from sqlite_sequence where name = 'event'"),
    cursorNames: sql('select name from cursor order by name'),
    events: sql('select sequence, body from event where sequence > ? order by sequence limit ?'),
  }
}

/** How many of the rows come to at most `bytes`; one at least. */
function fitting(rows: Iterable<Record<string, unknown>>, bytes: number): number {
  let count = 0
  for (const { size } of rows) {
    bytes -= Number(size)
    if (bytes < 0 && count > 0) break
    count++
  }
  return count
}

function names(rows: Record<string, unknown>[]): string[] {
  return rows.map((row) => String(row.name))
}

/** Holds the folder for this process; the operating system lets go of it when the process ends, however it ends. */
function lockFolder(folder: string): DatabaseSync {
  const lock = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive')
    return lock
  } catch (cause) {
    lock.close()
    throw new Error(
      `Cannot open ${folder}: another Holdfast is using it; stop that one or choose another folder with --data`,
      { cause },
    )
  }
}
