import type { Digest } from '../../oci/digest.ts'
import type { ManifestRow, RowFacts } from '../row-facts.ts'
import { unknown } from './collection-conditions.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { type Row, sql, type Steps, type Value } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  textsOf: Dialect['textsOf']
}

/** So many manifests and layers say whose a repository was. */
const enough = 200
const isStray = 'not exists (select 1 from manifest where manifest.id = manifest_id)'

const nameless = `
  select distinct repository_id as id from (
    select repository_id from manifest union select repository_id from blob_link union select repository_id from tag
    union select repository_id from tag_move) as held
  where not exists (select 1 from repository where repository.id = repository_id) order by id`
const digestsOf = (table: string) =>
  `select digest from ${table} where repository_id = ?1 order by digest limit ${enough}`
const unknownBlobs = `
  select distinct digest from blob_link where digest > ?1
    and not exists (select 1 from blob where blob.digest = blob_link.digest) order by digest limit ?2`
const manifests = `
  select manifest.id, name, digest, content, pushed_at, case when trashed_at is null then 0 else 1 end as is_trashed, is_referring,
    (select string_agg(reference.digest, ' ') from reference where manifest_id = manifest.id) as noted,
    case when subject is null or trashed_at is not null or exists (
      select 1 from referrer where referrer.repository_id = manifest.repository_id
        and referrer.subject = manifest.subject and referrer.digest = manifest.digest) then 1 else 0 end as is_listed
  from manifest join repository on repository.id = repository_id where manifest.id > ?1 order by manifest.id limit ?2`
const strayTags = `
  select repository.name as repository, tag.name from tag join repository on repository.id = repository_id
  where not exists (
    select 1 from manifest where manifest.repository_id = tag.repository_id and manifest.digest = tag.digest)
  order by 1, 2`

/** Finds rows that contradict each other, by looking at all of them. */
export function createRowFacts({ read, run, textsOf }: Deps): RowFacts {
  const rows = async (text: string, ...values: Value[]) => read(rowsOf(text, ...values))
  const digests = async (text: string, ...values: Value[]) =>
    (await rows(text, ...values)).map(({ digest }) => digest as Digest)

  return {
    async nameless() {
      const found = []
      for (const { id } of await rows(nameless)) {
        const own = Number(id)
        const [held, layers] = [await digests(digestsOf('manifest'), own), await digests(digestsOf('blob_link'), own)]
        found.push({ id: own, manifests: held, layers })
      }
      return found
    },
    isKnown: async (repository) => (await rows('select 1 from repository where name = ?1', repository)).length > 0,
    name: (id, repository) => run('nameRepository', id, repository),
    unknownBlobs: (last, limit) => digests(unknownBlobs, last, limit),
    knowBlob: (digest, found) => run('knowBlob', digest, found),
    countStrayReferences: async () =>
      Number((await rows(`select count(distinct manifest_id) as count from reference where ${isStray}`))[0]?.count),
    forgetStrayReferences: () => run('forgetStrayReferences'),
    manifests: async (after, limit) => (await rows(manifests, after, limit)).map(manifestOf),
    readAgain: (id) => run('readAgain', id),
    strangers: async (these) => (await rows(unknown(textsOf), these)).map(({ value }) => value as Digest),
    strayTags: async () =>
      (await rows(strayTags)).map(({ repository, name }) => ({ repository: String(repository), name: String(name) })),
  }
}

/** The commands that mend them. They are for a registry that does not run. */
export function createRowCommands({ lock }: Dialect) {
  return {
    *nameRepository(id: number, name: string): Steps<void> {
      yield* lock({ alone: [name] })
      yield sql('insert into repository (id, name) values (?1, ?2)', id, name)
    },
    *knowBlob(digest: Digest, found?: { size: number; storedAt: number }): Steps<void> {
      yield* lock({ alone: [digest] })
      if (found)
        yield sql(
          'insert into blob (digest, size, stored_at) values (?1, ?2, ?3) on conflict do nothing',
          ...[digest, found.size, found.storedAt],
        )
      else yield sql('delete from blob_link where digest = ?1', digest)
    },
    *forgetStrayReferences(): Steps<void> {
      yield sql(`delete from reference where ${isStray}`)
    },
    *readAgain(id: number): Steps<void> {
      yield sql('update manifest set is_referring = 0 where id = ?1', id)
    },
  }
}

function* rowsOf(text: string, ...values: Value[]): Steps<Row[]> {
  return yield sql(text, ...values)
}

const manifestOf = (row: Row): ManifestRow => ({
  id: Number(row.id),
  repository: String(row.name),
  digest: row.digest as Digest,
  content: row.content as Uint8Array,
  pushedAt: Number(row.pushed_at),
  isTrashed: Number(row.is_trashed) === 1,
  references: Number(row.is_referring) === 1 ? ((row.noted ?? '') as string).split(' ').filter(isText) : undefined,
  isListed: Number(row.is_listed) === 1,
})

const isText = (text: string): text is Digest => text !== ''
