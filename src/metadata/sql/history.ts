import type { Digest } from '../../oci/digest.ts'
import type { Page } from '../../registry/ports/metadata.ts'
import type { HistoryFacts, JournalPage, MovePage, TagMove, Trashed } from '../history-facts.ts'
import { manifestOf } from './reads.ts'
import { type Row, sql, type Steps } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
}

/** Reads what is kept of the past; `tags.ts` and `manifests.ts` write it. */
export function createHistory({ read }: Deps): HistoryFacts {
  return {
    moves: async (repository, tag, page) => read(moves(repository, tag, page)),
    journal: async (repository, page) => read(journal(repository, page)),
    tagsAsOf: async (repository, moment, page) => read(tagsAsOf(repository, moment, page)),
    trash: async (repository, page) => read(trash(repository, page)),
    async trashed(repository, digest) {
      const row = await read(trashed(repository, digest))
      return row && manifestOf(row, repository)
    },
  }
}

function* moves(repository: string, tag: string, { limit, before }: MovePage): Steps<TagMove[]> {
  const rows = yield sql(
    `select digest, at, actor, why from tag_move join repository on repository.id = repository_id
     where repository.name = ?1 and tag_move.name = ?2 and at < ?3 order by at desc limit ?4`,
    ...[repository, tag, before?.getTime() ?? Number.MAX_SAFE_INTEGER, limit],
  )
  return rows.map(moveOf)
}

function* journal(repository: string, { limit, before }: JournalPage): Steps<(TagMove & { tag: string })[]> {
  const rows = yield sql(
    `select tag_move.name as tag, digest, at, actor, why from tag_move
     where repository_id = (select id from repository where name = ?1) and (at, tag_move.name) < (?2, ?3)
     order by at desc, tag_move.name desc limit ?4`,
    ...[repository, before?.at.getTime() ?? Number.MAX_SAFE_INTEGER, before?.tag ?? '', limit],
  )
  return rows.map((row) => ({ tag: String(row.tag), ...moveOf(row) }))
}

function moveOf({ digest, at, actor, why }: Row): TagMove {
  return {
    digest: digest === '' ? undefined : (digest as Digest),
    at: new Date(Number(at)),
    by: String(actor),
    why: why as TagMove['why'],
  }
}

function* tagsAsOf(
  repository: string,
  moment: Date,
  { limit, last = '' }: Page,
): Steps<{ name: string; digest: Digest }[]> {
  const rows = yield sql(
    `select tag_move.name, digest from (
       select repository_id, tag_move.name, max(at) as at from tag_move join repository on repository.id = repository_id
       where repository.name = ?1 and tag_move.name > ?2 and at <= ?3 group by repository_id, tag_move.name) as latest
     join tag_move using (repository_id, name, at) where digest <> '' order by tag_move.name limit ?4`,
    ...[repository, last, moment.getTime(), limit],
  )
  return rows.map(({ name, digest }) => ({ name: String(name), digest: digest as Digest }))
}

function* trashed(repository: string, digest: Digest): Steps<Row | undefined> {
  const [row] = yield sql(
    `select digest, media_type, content from manifest join repository on repository.id = repository_id
     where name = ?1 and digest = ?2 and trashed_at is not null`,
    ...[repository, digest],
  )
  return row
}

function* trash(repository: string, { limit, last = '' }: Page): Steps<Trashed[]> {
  const rows = yield sql(
    `select digest, media_type, length(content) as size, trashed_at, trashed_by, trashed_why, trashed_tags
     from manifest join repository on repository.id = repository_id
     where name = ?1 and digest > ?2 and trashed_at is not null order by digest limit ?3`,
    ...[repository, last, limit],
  )
  return rows.map((row) => ({
    digest: row.digest as Digest,
    mediaType: String(row.media_type),
    size: Number(row.size),
    at: new Date(Number(row.trashed_at)),
    by: String(row.trashed_by),
    why: String(row.trashed_why),
    tags: JSON.parse(String(row.trashed_tags)) as string[],
  }))
}
