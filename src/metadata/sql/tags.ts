import type { Digest } from '../../oci/digest.ts'
import type { MoveReason } from '../history-facts.ts'
import { byLabel } from '../rule-facts.ts'
import { sql, type Steps } from './statement.ts'

/** Moment (milliseconds), doer and reason of a move. */
export interface Move {
  at: number
  by: string
  why: MoveReason
}

/**
 * Writes into the journal where a tag goes, unless it is there. The moments of a tag only rise, also where clocks differ: by them
 * the last move is told.
 */
const journal = `
  insert into tag_move (repository_id, name, at, digest, actor, why)
  select ?1, ?2, case when last.at >= ?4 then last.at + 1 else ?4 end, ?3, ?5, ?6
  from (select 1) as one left join
    (select at, digest from tag_move where repository_id = ?1 and name = ?2 order by at desc limit 1) as last on true
  where coalesce(last.digest, '') <> ?3 returning digest`

/** Where the tag points. */
export function* digestOfTag(repositoryId: number | undefined, name: string): Steps<string | undefined> {
  if (repositoryId === undefined) return undefined
  const [row] = yield sql('select digest from tag where repository_id = ?1 and name = ?2', repositoryId, name)
  return row && String(row.digest)
}

/** What a label of an image said of the tag goes when that image does. */
const staysSaid = `tag.digest = excluded.digest or tag.expires_by <> '${byLabel}'`

/** Points the tag there; when it was last said to do so is kept with it, moves only are in the journal. */
export function* tag(repositoryId: number, name: string, digest: Digest, { at, by, why }: Move): Steps<void> {
  const moved = yield sql(journal, repositoryId, name, digest, at, by, why)
  if (moved.length > 0) yield* leave(repositoryId, name, at)
  yield sql(
    `insert into tag (repository_id, name, digest, moved_at) values (?1, ?2, ?3, ?4)
     on conflict (repository_id, name) do update set digest = excluded.digest,
       moved_at = case when excluded.moved_at >= tag.moved_at then excluded.moved_at else tag.moved_at + 1 end,
       expires_at = case when ${staysSaid} then tag.expires_at end, expires_by = case when ${staysSaid} then tag.expires_by end`,
    ...[repositoryId, name, digest, at],
  )
}

/** Takes the tag away. */
export function* untag(repositoryId: number, name: string, { at, by, why }: Move): Steps<void> {
  yield sql(journal, repositoryId, name, '', at, by, why)
  yield* leave(repositoryId, name, at)
  yield sql('delete from tag where repository_id = ?1 and name = ?2', repositoryId, name)
}

/** What the tag points to may have nothing else that keeps it. */
function* leave(repositoryId: number, name: string, at: number): Steps<void> {
  yield sql(
    `update manifest set doubted_at = ?3 where repository_id = ?1
       and digest = (select digest from tag where repository_id = ?1 and name = ?2)`,
    ...[repositoryId, name, at],
  )
}

/** Writes a move of the past into the journal. */
export function* remember(repositoryId: number, name: string, digest: Digest, { at, by, why }: Move): Steps<void> {
  yield sql(
    `insert into tag_move (repository_id, name, at, digest, actor, why) values (?1, ?2, ?3, ?4, ?5, ?6)
     on conflict do nothing`,
    ...[repositoryId, name, at, digest, by, why],
  )
}
