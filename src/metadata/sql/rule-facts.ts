import { setImmediate as breathe } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import type { Due, ImageFact, RetentionRun, RuleFacts, TagFact, TagState, Weight } from '../rule-facts.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import type { createProtection } from './protecting.ts'
import { type Row, sql, type Steps, type Value } from './statement.ts'

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
  textsOf: Dialect['textsOf']
  protection: ReturnType<typeof createProtection>
}

/** Each tag is compared with each pattern: then requests come in between. */
const judgedAtOnce = 500

/** What rules for tags ask, over a database that takes steps. */
export function createRuleFacts({ read, run, now, textsOf, protection }: Deps): RuleFacts {
  const rows = async (text: string, ...values: Value[]) => read(select(text, values))

  return {
    tag: async (repository, tag) => (await rows(oneTag, repository, tag)).map(stateOf)[0],
    async keptTags(repository, tags) {
      protection.forget() // a plan is made of the rules as they are
      const rules: Record<string, string> = {}
      for (let from = 0; from < tags.length; from += judgedAtOnce, await breathe())
        Object.assign(
          rules,
          (await protection.judge({ repository, from: 'delete', tags: tags.slice(from, from + judgedAtOnce) })).rules,
        )
      const locked = await rows('select tag, locked_by from tag_lock where repository = ?1 and is_kept = 1', repository)
      return new Map([
        ...Object.entries(rules).map(([tag, rule]) => [tag, `immutability rule ${rule}`] as const),
        ...locked.map(({ tag }) => [String(tag), 'the tag is locked'] as const),
      ])
    },
    setExpiry: (repository, tag, expiry) => run('setExpiry', repository, tag, expiry),
    due: async (before, limit, last) =>
      (await rows(dueTags, before, limit, last?.expiresAt ?? -1, last?.repositoryId ?? 0, last?.tag ?? '')).map(dueOf),
    images: async (repository, after, limit) => (await rows(images, repository, after, limit)).map(imageOf),
    tags: async (repository, after, limit) => (await rows(tags, repository, after, limit)).map(tagOf),
    children: async (repository, ids) =>
      (await rows(children(textsOf('?2')), repository, ids.map(String))).map(({ parent, digest }) => ({
        parent: Number(parent),
        child: digest as Digest,
      })),
    weigh: async (repository, ids) => (await rows(weights(textsOf('?2')), repository, ids.map(String))).map(weightOf),
    retire: (repository, retirements, { why, by, dueBefore }) =>
      protection.hold({ repository, from: 'delete', tags: retirements.flatMap((one) => one.tags) }, (held) =>
        run(
          'retire',
          repository,
          { retirements, why, dueBefore },
          { at: now(), actor: { name: by, address: '' } },
          held,
        ),
      ),
    runs: {
      record: (noted) => run('recordRetention', noted),
      async list({ repository, prefix }, { limit, before = Number.MAX_SAFE_INTEGER }) {
        const [condition, ...values] =
          repository !== undefined
            ? ['repository = ?3', repository]
            : prefix !== undefined
              ? ['repository > ?3 and repository < ?4', `${prefix}/`, `${prefix}0`]
              : ['true']
        const text = `select * from retention_run where sequence < ?1 and ${condition} order by sequence desc limit ?2`
        return (await rows(text, before, limit, ...values)).map(runOf)
      },
    },
  }
}

function* select(text: string, values: Value[]): Steps<Row[]> {
  return yield sql(text, ...values)
}

const oneTag = `
  select digest, moved_at, expires_at, expires_by from tag join repository on repository.id = repository_id
  where repository.name = ?1 and tag.name = ?2`
const dueTags = `
  select repository.name as repository, repository_id, tag.name as tag, digest, expires_at
  from tag join repository on repository.id = repository_id
  where expires_at is not null and expires_at <= ?1 and (expires_at, repository_id, tag.name) > (?3, ?4, ?5)
  order by expires_at, repository_id, tag.name limit ?2`
const images = `
  select manifest.id, digest, media_type, subject, length(content) as size, pushed_at, last_pulled_at, platform
  from manifest join repository on repository.id = repository_id
  where name = ?1 and digest > ?2 and trashed_at is null order by digest limit ?3`
const tags = `
  select tag.name, digest, moved_at from tag join repository on repository.id = repository_id
  where repository.name = ?1 and tag.name > ?2 order by tag.name limit ?3`
const children = (ids: string) => `
  select reference.manifest_id as parent, reference.digest from ${ids} cross join reference
  join repository on repository.id = reference.repository_id
  join manifest as child on child.repository_id = repository.id and child.digest = reference.digest
  where name = ?1 and reference.manifest_id = cast(value as bigint) and child.trashed_at is null`
/** Manifests in the trash hold nothing that would not go with them. */
const weights = (ids: string) => `
  select reference.manifest_id, reference.digest, blob.size,
    (select count(*) from reference as other join manifest on manifest.id = other.manifest_id
     where other.repository_id = reference.repository_id and other.digest = reference.digest
       and manifest.trashed_at is null) as holders,
    case when exists (
      select 1 from blob_link where blob_link.digest = reference.digest
        and blob_link.repository_id <> reference.repository_id) then 1 else 0 end as elsewhere
  from ${ids} cross join reference join repository on repository.id = reference.repository_id
  join blob on blob.digest = reference.digest
  where name = ?1 and reference.manifest_id = cast(value as bigint)`

const numberOr = (value: unknown) => (value === null || value === undefined ? undefined : Number(value))

const stateOf = (row: Row): TagState => ({
  digest: row.digest as Digest,
  movedAt: Number(row.moved_at),
  expiresAt: numberOr(row.expires_at),
  expiresBy: row.expires_by === null ? undefined : String(row.expires_by),
})
const dueOf = (row: Row): Due => ({
  repository: String(row.repository),
  repositoryId: Number(row.repository_id),
  tag: String(row.tag),
  digest: row.digest as Digest,
  expiresAt: Number(row.expires_at),
})
const imageOf = (row: Row): ImageFact => ({
  id: Number(row.id),
  digest: row.digest as Digest,
  mediaType: String(row.media_type),
  subject: row.subject === null ? undefined : (row.subject as Digest),
  size: Number(row.size),
  pushedAt: Number(row.pushed_at),
  platform: row.platform === null ? undefined : String(row.platform),
  pulledAt: numberOr(row.last_pulled_at),
})
const tagOf = (row: Row): TagFact => ({
  name: String(row.name),
  digest: row.digest as Digest,
  movedAt: Number(row.moved_at),
})
const weightOf = (row: Row): Weight => ({
  manifestId: Number(row.manifest_id),
  digest: row.digest as Digest,
  size: Number(row.size),
  holders: Number(row.holders),
  isElsewhere: Number(row.elsewhere) === 1,
})
const runOf = (row: Row): RetentionRun => ({
  sequence: Number(row.sequence),
  at: Number(row.at),
  repository: String(row.repository),
  state: row.state as RetentionRun['state'],
  plan: String(row.plan),
  actor: String(row.actor),
  tags: Number(row.tags),
  images: Number(row.images),
  bytes: Number(row.bytes),
  body: String(row.body),
})
