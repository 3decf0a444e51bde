import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import type { Reference } from '../../oci/reference.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { Page, StoredManifest, Upload } from '../../registry/ports/metadata.ts'
import type { Dialect } from './dialect.ts'
import { type Row, sql, type Steps } from './statement.ts'

const manifest = 'manifest.digest, media_type, case when manifest.digest = ?3 then null else content end as content'
const manifestByTag = `
  select ${manifest} from repository join tag on tag.repository_id = repository.id
  join manifest on manifest.repository_id = repository.id and manifest.digest = tag.digest
  where repository.name = ?1 and tag.name = ?2`
const manifestByDigest = `
  select ${manifest} from manifest join repository on repository.id = repository_id
  where name = ?1 and digest = ?2 and trashed_at is null`

/** What the store is asked, each the steps of an answer. */
export function createReads({ textsOf, settled }: Dialect) {
  const referrersTotal = `
    select sum(octet_length(descriptor)) as total from referrer join repository on repository.id = repository_id
    where name = ?1 and subject = ?2`
  /** The texts for referrers of any type, or only of those in a last parameter. */
  function referrerTexts(ofTypes: boolean) {
    const page = (columns: string, types: string) => `
      select ${columns} from referrer join repository on repository.id = repository_id
      where name = ?1 and subject = ?2 and digest > ?3
        ${ofTypes ? `and artifact_type in (select value from ${textsOf(types)})` : ''} order by digest limit ?4`
    return {
      // Joined by the database: a row each, made in JavaScript, takes longer than finding them.
      joined: `
        select string_agg(descriptor, ',') as descriptors, max(digest) as last
        from (${page('digest, descriptor', '?5')}) as part`,
      any: page('digest', '?5'),
      /** How many come to at most ?5 bytes. */
      fitting: `
        select count(*) as count from (
          select sum(size) over (order by digest) as reached
          from (${page('digest, octet_length(descriptor) as size', '?6')}) as part
        ) as part where reached <= ?5`,
    }
  }
  const [referrers, referrersOfTypes] = [referrerTexts(false), referrerTexts(true)]

  return {
    *repositories({ limit, last = '' }: Page): Steps<string[]> {
      return names(
        yield sql(
          `select name from repository where name > ?1
             and exists (select 1 from manifest where repository_id = repository.id and trashed_at is null) order by name limit ?2`,
          last,
          limit,
        ),
      )
    },
    /** `isFading`: no manifest refers to it, nor was it asked for or pushed since the moment. */
    *blob(repository: string, digest: Digest, moment: number): Steps<{ size: number; isFading: boolean } | undefined> {
      const [row] = yield sql(
        `select size, case when doubted_at < ?3 and not exists
           (select 1 from reference where reference.repository_id = repository.id and reference.digest = ?2)
           then 1 else 0 end as fading
         from blob join blob_link on blob_link.digest = blob.digest join repository on repository.id = repository_id
         where name = ?1 and blob.digest = ?2`,
        ...[repository, digest, moment],
      )
      return row && { size: Number(row.size), isFading: Number(row.fading) === 1 }
    },
    *blobAnywhere(digest: Digest): Steps<{ size: number } | undefined> {
      const [row] = yield sql('select size from blob where digest = ?1', digest)
      return row as { size: number } | undefined
    },
    *blobs({ limit, last = '' }: Page): Steps<{ digest: Digest; size: number }[]> {
      const rows = yield sql('select digest, size from blob where digest > ?1 order by digest limit ?2', last, limit)
      return rows as { digest: Digest; size: number }[]
    },
    *repositoriesOfBlob(digest: Digest): Steps<string[]> {
      return names(
        yield sql(
          `select name from repository join blob_link on repository.id = repository_id where digest = ?1
           order by name limit 100`,
          digest,
        ),
      )
    },
    /** `known` is the digest of a manifest whose bytes are at hand: then they are not fetched. */
    *manifest(repository: string, reference: Reference, known: Digest | ''): Steps<Row | undefined> {
      const [row] =
        'tag' in reference
          ? yield sql(manifestByTag, repository, reference.tag, known)
          : yield sql(manifestByDigest, repository, reference.digest, known)
      return row
    },
    *referrers(
      repository: string,
      subject: Digest,
      artifactTypes: string[],
      { limit, last = '', bytes }: Page & { bytes: number },
    ): Steps<{ descriptors: string; next: string | undefined }> {
      const texts = artifactTypes.length > 0 ? referrersOfTypes : referrers
      const types = artifactTypes.length > 0 ? [artifactTypes] : []
      const [all] = yield sql(referrersTotal, repository, subject)
      let count = limit
      if (Number(all?.total) > bytes) {
        const [fit] = yield sql(texts.fitting, repository, subject, last, limit, bytes, ...types)
        count = Math.min(limit, Math.max(1, Number(fit?.count)))
      }
      const [part] = yield sql(texts.joined, repository, subject, last, count, ...types)
      if (typeof part?.last !== 'string') return { descriptors: '', next: undefined }
      const [more] = yield sql(texts.any, repository, subject, part.last, 1, ...types)
      return { descriptors: String(part.descriptors), next: more ? part.last : undefined }
    },
    *tags(repository: string, { limit, last = '' }: Page): Steps<string[] | undefined> {
      const [found] = yield sql('select id from repository where name = ?1', repository)
      if (!found) return undefined
      const text = 'select name from tag where repository_id = ?1 and name > ?2 order by name limit ?3'
      return names(yield sql(text, Number(found.id), last, limit))
    },
    *upload(id: string): Steps<Upload | undefined> {
      const [row] = yield sql('select id, repository, algorithm, owner from upload where id = ?1', id)
      return row as Upload | undefined
    },
    *uploadsBefore(moment: number): Steps<string[]> {
      return (yield sql('select id from upload where started_at < ?1', moment)).map(({ id }) => String(id))
    },
    *events(sequence: number, limit: number): Steps<(RegistryEvent & { sequence: number })[]> {
      const rows = yield sql(
        `select sequence, body from event where sequence > ?1 and body <> '' and ${settled} order by sequence limit ?2`,
        sequence,
        limit,
      )
      return rows.map(({ sequence, body }) => ({ ...JSON.parse(String(body)), sequence: Number(sequence) }))
    },
    *lastEvent(): Steps<number> {
      const [row] = yield sql(`select sequence from event where ${settled} order by sequence desc limit 1`)
      return Number(row?.sequence ?? 0)
    },
    *lastEventBefore(moment: number): Steps<number> {
      const [row] = yield sql(
        `select sequence from event where at < ?1 and body <> '' and ${settled} order by at desc, sequence desc limit 1`,
        moment,
      )
      return Number(row?.sequence ?? 0)
    },
    *cursor(name: string): Steps<{ sequence: number; movedAt: Date } | undefined> {
      const [row] = yield sql('select sequence, moved_at from cursor where name = ?1', name)
      return row && { sequence: Number(row.sequence), movedAt: new Date(Number(row.moved_at)) }
    },
    *cursors(): Steps<string[]> {
      return names(yield sql('select name from cursor order by name'))
    },
  }
}

/** A manifest from its row. @throws when the bytes are not what the digest says */
export function manifestOf(row: Row, repository: string): StoredManifest {
  const stored = row.content as Uint8Array
  const content = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  const digest = row.digest as Digest
  if (digestOf(content, algorithmOf(digest)) !== digest)
    throw new Error(`Cannot serve manifest ${digest} of ${repository}: its bytes are damaged`)
  return { digest, mediaType: String(row.media_type), content }
}

function names(rows: Row[]): string[] {
  return rows.map(({ name }) => String(name))
}
