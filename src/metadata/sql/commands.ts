import type { Digest } from '../../oci/digest.ts'
import type { Actor, Happening } from '../../registry/ports/events.ts'
import type { ManifestPush, PushOutcome, Upload } from '../../registry/ports/metadata.ts'
import type { QuotaRule } from '../../rules/quotas.ts'
import { createAccountCommands } from './account-commands.ts'
import { createCollectionCommands, isGoing, suspect } from './collection-commands.ts'
import type { Dialect } from './dialect.ts'
import { hold, link, refer } from './fact-writer.ts'
import { type Held, protection, type Refused } from './protection.ts'
import { createRuleCommands } from './rule-commands.ts'
import { createQuotaCommands } from './quota-commands.ts'
import { createRowCommands } from './row-facts.ts'
import { measureCommands } from './size-facts.ts'
import { createTrash, store } from './manifests.ts'
import { sql, type Steps } from './statement.ts'
import { digestOfTag, tag, untag } from './tags.ts'
import { createTallyCommands } from './tallies.ts'
import { uploadStateCommands } from './upload-states.ts'
import { vaultCommands } from './vault.ts'
import { createVolumeCommands } from './volume-commands.ts'

export type Commands = ReturnType<typeof createCommands>

/** Runs a command of `createCommands` as one transaction; resolves once it is durable. */
export type Run = <Name extends keyof Commands>(
  name: Name,
  ...args: Parameters<Commands[Name]>
) => Promise<ReturnType<Commands[Name]> extends Steps<infer Result> ? Result : never>

/** A job and who holds it, or would. */
interface Holding {
  name: string
  holder: string
}

/** Moment (milliseconds) and doer of a change. */
export interface Act {
  at: number
  actor: Actor
}

/**
 * Every change of state, each the steps of one transaction that also records its event. All go alike: lock, look, record,
 * write. Arguments and results are plain data, because they may cross a thread.
 */
export function createCommands(dialect: Dialect) {
  const { lock } = dialect
  const { situation, standing, refusal, refusalToDelete } = protection(dialect)
  const trash = createTrash(dialect)
  const quotas = createQuotaCommands(dialect, record)
  const manifestSizes = `
    select digest, length(content) as size from ${dialect.textsOf('?2')} cross join manifest
    where repository_id = ?1 and digest = value and trashed_at is null`
  const blobSizes = `
    select blob.digest, size from ${dialect.textsOf('?2')} cross join blob_link cross join blob
    where repository_id = ?1 and blob_link.digest = value and blob.digest = value`

  function* record({ at, actor }: Act, happenings: Happening[]): Steps<void> {
    const whole = happenings.map((happening) => ({ ...happening, at: new Date(at).toISOString(), actor }))
    yield* dialect.record(at, whole)
  }

  /** What keeps the push from happening; undefined when nothing does. */
  function* objection(repository: number | undefined, push: ManifestPush): Steps<PushOutcome | undefined> {
    if (push.expects !== undefined) {
      const present = push.tags[0] === undefined ? undefined : yield* digestOfTag(repository, push.tags[0])
      const stands = (digests: string[]) =>
        present !== undefined && digests.some((one) => one === '*' || one === present)
      if (push.expects === 'absent' ? present !== undefined : !stands(push.expects.digests))
        return { outcome: 'precondition-failed' }
    }
    const children = push.references.filter(({ kind }) => kind === 'child')
    const manifests = yield* sizesOf(manifestSizes, repository, children)
    const blobs = yield* sizesOf(blobSizes, repository, push.references)
    const missing = new Set<Digest>()
    for (const { digest, size, kind, optional } of push.references) {
      const found = (kind === 'child' ? manifests.get(digest) : undefined) ?? blobs.get(digest)
      if (found === undefined && !optional) missing.add(digest)
      else if (found !== undefined && found !== size) return { outcome: 'wrong-size', digest, size: found }
    }
    return missing.size > 0 ? { outcome: 'missing', digests: [...missing] } : undefined
  }

  /** The blobs that a manifest refers to and the repository holds, and the manifest itself. */
  function* bytesOf(
    repository: number | undefined,
    { manifest, references }: { manifest: { digest: Digest; size: number }; references: { digest: Digest }[] },
  ): Steps<Map<Digest, number>> {
    const sizes = yield* sizesOf(blobSizes, repository, references)
    return sizes.set(manifest.digest, manifest.size)
  }

  return {
    ...createVolumeCommands({ dialect, ensureRepository, record, release: quotas.release }),
    ...uploadStateCommands,
    ...createAccountCommands(dialect),
    ...createCollectionCommands({ dialect, repositoryId, record, trash, quotas, bytesOf }),
    ...quotas.commands,
    ...createRuleCommands({ dialect, record, trash }),
    ...createRowCommands(dialect),
    ...createTallyCommands(dialect),
    ...vaultCommands,
    ...measureCommands,

    /** False when the bytes were collected since they were published, or may have been. */
    *commitBlob(blob: { repository: string; digest: Digest; size: number; upload: string }, act: Act): Steps<boolean> {
      const { repository, digest, size, upload } = blob
      yield* lock({ together: [repository, digest] })
      if (yield* isGoing(digest)) return false
      yield* record(act, [{ type: 'blob.pushed', repository, digest, size }])
      yield* hold(yield* ensureRepository(repository), blob, { storedAt: act.at, now: act.at })
      yield* removeUpload(upload)
      return true
    },

    *mountBlob(blob: { repository: string; digest: Digest; from: string }, act: Act): Steps<boolean> {
      yield* lock({ together: [blob.repository, blob.from, blob.digest] })
      if (!(yield* isLinked(yield* repositoryId(blob.from), blob.digest))) return false
      yield* record(act, [{ type: 'blob.mounted', ...blob }])
      yield* link(yield* ensureRepository(blob.repository), blob.digest, act.at)
      return true
    },

    *unlinkBlob(repository: string, digest: Digest, act: Act, held: Held): Steps<boolean | Refused> {
      yield* lock({ alone: [repository] })
      const known = yield* standing(repository)
      if (known === undefined || !(yield* isLinked(known.id, digest))) return false
      const { id } = known
      const refused = yield* refusalToDelete(known, held, digest)
      if (refused) return refused
      yield* record(act, [{ type: 'blob.deleted', repository, digest }])
      yield sql('delete from blob_link where repository_id = ?1 and digest = ?2', id, digest)
      yield* quotas.release(repository, [digest])
      yield* suspect(digest, act.at)
      return true
    },

    *pushManifest(
      push: ManifestPush,
      act: Act,
      held: Held,
      limits: readonly QuotaRule[] = [],
    ): Steps<PushOutcome | Refused> {
      const { repository, tags, artifactType, annotations, subject } = push
      const { digest, mediaType, content } = push.manifest
      yield* lock({ together: [repository], alone: tags.map((name) => `${repository}:${name}`) })
      const { known, isLimited } = yield* situation(repository)
      const refused = (yield* objection(known?.id, push)) ?? (yield* refusal(known, held, { tags, to: digest }))
      if (refused) return refused
      const size = content.length
      const charges =
        isLimited || limits.length > 0
          ? yield* quotas.charging(
              repository,
              yield* bytesOf(known?.id, { ...push, manifest: { digest, size } }),
              limits,
            )
          : undefined
      if (charges?.refused) return charges.refused
      const pushed = { type: 'manifest.pushed' as const, repository, digest, mediaType, size, tags }
      yield* record(act, [pushed, ...(charges?.near ?? [])])
      const id = known?.id ?? (yield* ensureRepository(repository))
      yield* store(id, { ...push.manifest, subject, references: push.references }, act.at)
      yield* refer(id, { subject, digest, mediaType, size, artifactType, annotations })
      for (const name of tags)
        yield* tag(id, name, digest, { at: act.at, by: act.actor.name, why: push.why ?? 'pushed' })
      yield* charges?.charge() ?? []
      return { outcome: 'pushed' }
    },

    *deleteManifest(repository: string, digest: Digest, act: Act, held: Held): Steps<string[] | undefined | Refused> {
      yield* lock({ alone: [repository] })
      const known = yield* standing(repository)
      if (known === undefined) return undefined
      const { id } = known
      const [manifest] = yield sql(
        'select id from manifest where repository_id = ?1 and digest = ?2 and trashed_at is null',
        ...[id, digest],
      )
      if (!manifest) return undefined
      // By the index alone: asked for an order SQLite would go through all tags of the repository.
      const found = yield sql('select name from tag where repository_id = ?1 and digest = ?2', id, digest)
      const tags = found.map(({ name }) => String(name)).toSorted()
      const refused = yield* refusalToDelete(known, held, digest)
      if (refused) return refused
      yield* record(act, [{ type: 'manifest.deleted', repository, digest, tags }])
      for (const name of tags) yield* untag(id, name, { at: act.at, by: act.actor.name, why: 'image deleted' })
      yield* trash(id, [digest], { at: act.at, by: act.actor.name, why: 'deleted', tags })
      return tags
    },

    *deleteTag(repository: string, name: string, act: Act, held: Held): Steps<boolean | Refused> {
      yield* lock({ together: [repository], alone: [`${repository}:${name}`] })
      const known = yield* standing(repository)
      if (known === undefined || (yield* digestOfTag(known.id, name)) === undefined) return false
      const { id } = known
      const refused = yield* refusal(known, held, { tags: [name] })
      if (refused) return refused
      yield* record(act, [{ type: 'tag.deleted', repository, tag: name }])
      yield* untag(id, name, { at: act.at, by: act.actor.name, why: 'deleted' })
      return true
    },

    *createUpload({ id, repository, algorithm, owner }: Upload, at: number): Steps<void> {
      yield sql(
        `insert into upload (id, repository, algorithm, started_at, owner) values (?1, ?2, ?3, ?4, ?5)
         on conflict do nothing`,
        ...[id, repository, algorithm, at, owner],
      )
    },
    deleteUpload: removeUpload,

    *recordEvents(happenings: (Happening & { actor: Actor })[], at: number): Steps<void> {
      yield* dialect.record(
        at,
        happenings.map((happening) => ({ ...happening, at: new Date(at).toISOString() })),
      )
    },
    *setCursor(name: string, sequence: number, at: number): Steps<void> {
      yield sql(
        `insert into cursor (name, sequence, moved_at) values (?1, ?2, ?3)
         on conflict (name) do update set sequence = excluded.sequence, moved_at = excluded.moved_at`,
        ...[name, sequence, at],
      )
    },
    *deleteCursor(name: string): Steps<void> {
      yield sql('delete from cursor where name = ?1', name)
    },
    *deleteEventsBefore(moment: number): Steps<void> {
      const passed = 'at < ?1 and not sequence > (select min(sequence) from cursor where sequence >= 0) is true'
      yield sql(`delete from event where ${passed} and sequence < (select max(sequence) from event)`, moment)
      yield sql(`update event set body = '' where ${passed} and body <> ''`, moment) // the last one's number stays
    },

    *claimJob({ name, holder }: Holding, now: number, leaseMs: number): Steps<boolean> {
      yield sql('insert into job (name, due_at, leased_until) values (?1, ?2, 0) on conflict do nothing', name, now)
      const claimed = yield sql(
        `update job set holder = ?1, leased_until = ?2
         where name = ?3 and due_at <= ?4 and (leased_until <= ?4 or holder = ?1) returning name`,
        ...[holder, now + leaseMs, name, now],
      )
      return claimed.length > 0
    },
    *releaseJob({ name, holder }: Holding, dueAt: number): Steps<void> {
      yield sql('update job set leased_until = 0, due_at = ?1 where name = ?2 and holder = ?3', dueAt, name, holder)
    },
  }
}

function* repositoryId(name: string): Steps<number | undefined> {
  const [row] = yield sql('select id from repository where name = ?1', name)
  return row?.id as number | undefined
}

function* ensureRepository(name: string): Steps<number> {
  const known = yield* repositoryId(name)
  if (known !== undefined) return known
  const [added] = yield sql('insert into repository (name) values (?1) on conflict do nothing returning id', name)
  return added ? (added.id as number) : ((yield* repositoryId(name)) as number) // another was faster
}

/** The sizes of what the repository holds of this content. */
function* sizesOf(
  text: string,
  repository: number | undefined,
  references: { digest: Digest }[],
): Steps<Map<Digest, number>> {
  if (repository === undefined || references.length === 0) return new Map()
  const digests = references.map(({ digest }) => digest)
  const rows = yield sql(text, repository, digests)
  return new Map(rows.map(({ digest, size }) => [digest as Digest, Number(size)]))
}

function* isLinked(repository: number | undefined, digest: Digest): Steps<boolean> {
  if (repository === undefined) return false
  return (yield sql('select 1 from blob_link where repository_id = ?1 and digest = ?2', repository, digest)).length > 0
}

function* removeUpload(id: string): Steps<void> {
  yield sql('delete from upload where id = ?1', id)
}
