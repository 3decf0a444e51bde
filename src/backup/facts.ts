import { fromSqlite } from '../metadata/copy/sqlite.ts'
import { sql } from '../metadata/sql/statement.ts'
import type { Digest } from '../oci/digest.ts'
import type { Blob } from './content.ts'

const pageSize = 200
const mostImages = 10

export interface SnapshotFacts {
  totals: { blobs: number; bytes: number }
  /** All blobs, some at a time, in order of digest. */
  blobs(): AsyncGenerator<Blob[]>
  /** Images that break without a blob, as REPO:TAG or REPO@DIGEST; some of them where they are many. */
  imagesOf(digest: Digest): Promise<string[]>
  /** Which of these are blobs. */
  known(digests: Digest[]): Promise<Set<string>>
}

/** Gives what the database of a snapshot says to `work`. @throws Error when it is none, or of a newer Holdfast */
export async function withFacts<Result>(
  file: string,
  work: (facts: SnapshotFacts) => Promise<Result>,
): Promise<Result> {
  return fromSqlite(file, async ({ execute }) => {
    const [row] = await execute(sql('select count(*) as blobs, coalesce(sum(size), 0) as bytes from blob'))
    return work({
      totals: { blobs: Number(row!.blobs), bytes: Number(row!.bytes) },
      async *blobs() {
        for (let last = ''; ;) {
          const text = 'select digest, size from blob where digest > ?1 order by digest limit ?2'
          const rows = await execute(sql(text, last, pageSize))
          yield rows.map(({ digest, size }) => ({ digest: digest as Digest, size: Number(size) }))
          if (rows.length < pageSize) return
          last = String(rows.at(-1)!.digest)
        }
      },
      async imagesOf(digest) {
        const rows = await execute(sql(images, digest, mostImages))
        return rows.map(({ name, tag, digest: image }) =>
          tag === null ? `${String(name)}@${String(image)}` : `${String(name)}:${String(tag)}`,
        )
      },
      async known(digests) {
        const text = 'select digest from blob where digest in (select value from json_each(?1))'
        return new Set((await execute(sql(text, digests))).map(({ digest }) => String(digest)))
      },
    })
  })
}

const images = `
  select repository.name as name, manifest.digest as digest, (
    select min(tag.name) from tag
    where tag.repository_id = manifest.repository_id and tag.digest = manifest.digest) as tag
  from reference
  join manifest on manifest.id = reference.manifest_id
  join repository on repository.id = manifest.repository_id
  where reference.digest = ?1 order by repository.name, manifest.id limit ?2`
