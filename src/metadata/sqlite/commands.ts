import type { DatabaseSync } from 'node:sqlite'
import type { Digest } from '../../oci/digest.ts'
import type { Actor, Happening, RegistryEvent } from '../../registry/ports/events.ts'
import type { ManifestPush, PushOutcome, Upload } from '../../registry/ports/metadata.ts'
import { createFactWriter } from './fact-writer.ts'
import { createUploadStateCommands } from './upload-states.ts'
import { createVolumeCommands } from './volume-commands.ts'

export type Commands = ReturnType<typeof createCommands>

/** Moment (milliseconds) and doer of a change. */
export interface Act {
  at: number
  actor: Actor
}

/**
 * Every change of state, each run inside a transaction of the writer and writing its event there. Arguments and results are
 * plain data, because they cross a thread.
 */
export function createCommands(database: DatabaseSync, onEvent: (event: RegistryEvent) => void) {
  const sql = (text: string) => database.prepare(text)
  const findRepository = sql('select id from repository where name = ?')
  const addRepository = sql('insert into repository (name) values (?) returning id')
  const facts = createFactWriter(database)
  const removeLink = sql('delete from blob_link where repository_id = ? and digest = ?')
  const linkedSize = sql('select size from blob_link join blob using (digest) where repository_id = ? and digest = ?')
  const manifestSize = sql('select length(content) as size from manifest where repository_id = ? and digest = ?')
  const addManifest = sql(`
    insert into manifest (repository_id, digest, media_type, subject, pushed_at, content) values (?, ?, ?, ?, ?, ?)
    on conflict (repository_id, digest) do update set media_type = excluded.media_type, content = excluded.content
      where media_type <> excluded.media_type or content <> excluded.content`)
  const removeReferrer = sql(`
    delete from referrer where repository_id = ?1 and digest = ?2
      and subject = (select subject from manifest where repository_id = ?1 and digest = ?2)`)
  const removeManifest = sql('delete from manifest where repository_id = ? and digest = ?')
  const findTag = sql('select digest from tag where repository_id = ? and name = ?')
  const removeHistory = sql('delete from tag_history where repository_id = ? and name = ?')
  const removeTag = sql('delete from tag where repository_id = ? and name = ?')
  const removeTagsOf = sql('delete from tag where repository_id = ? and digest = ? returning name')
  const addUpload = sql('insert into upload (id, repository, algorithm, started_at) values (?, ?, ?, ?)')
  const removeUpload = sql('delete from upload where id = ?')
  const addEvent = sql('insert into event (at, body) values (?, ?)')
  const setCursor = sql('insert or replace into cursor (name, sequence, moved_at) values (?, ?, ?)')
  const removeCursor = sql('delete from cursor where name = ?')
  const removeEvents = sql(`
    delete from event where at < ? and not sequence > (select min(sequence) from cursor where sequence >= 0) is true`)
  const addJob = sql('insert into job (name, due_at, leased_until) values (?, ?, 0) on conflict do nothing')
  const leaseJob = sql('update job set leased_until = ? where name = ? and due_at <= ? and leased_until <= ?')
  const releaseJob = sql('update job set leased_until = 0, due_at = ? where name = ?')

  function repositoryId(name: string): number | undefined {
    return findRepository.get(name)?.id as number | undefined
  }
  function ensureRepository(name: string): number {
    return repositoryId(name) ?? (addRepository.get(name)?.id as number)
  }
  function record({ at, actor }: Act, happening: Happening): void {
    const whole = { ...happening, at: new Date(at).toISOString(), actor }
    addEvent.run(at, JSON.stringify(whole))
    onEvent(whole)
  }

  /** What keeps the push from happening; undefined when nothing does. */
  function objection(repository: number | undefined, push: ManifestPush): PushOutcome | undefined {
    if (push.expects !== undefined) {
      const tag = push.tags[0]
      const present = repository && tag !== undefined ? findTag.get(repository, tag)?.digest : undefined
      const stands = (digests: string[]) =>
        present !== undefined && (digests.includes('*') || digests.includes(String(present)))
      if (push.expects === 'absent' ? present !== undefined : !stands(push.expects.digests))
        return { outcome: 'precondition-failed' }
    }
    const missing = new Set<Digest>()
    for (const { digest, size, kind, optional } of push.references) {
      const child = repository && kind === 'child' ? manifestSize.get(repository, digest) : undefined
      const found = child ?? (repository ? linkedSize.get(repository, digest) : undefined)
      if (!found && !optional) missing.add(digest)
      else if (found && found.size !== size) return { outcome: 'wrong-size', digest, size: Number(found.size) }
    }
    return missing.size > 0 ? { outcome: 'missing', digests: [...missing] } : undefined
  }

  const volume = createVolumeCommands(database, facts, ensureRepository)
  return {
    ...volume,
    ...createUploadStateCommands(database),
    dropBlob: (digest: Digest, since: number, act: Act) =>
      volume.dropBlob(digest, since, (happening) => record(act, happening)),

    commitBlob(blob: { repository: string; digest: Digest; size: number; upload: string }, act: Act): void {
      facts.hold(ensureRepository(blob.repository), blob, act.at)
      removeUpload.run(blob.upload)
      record(act, { type: 'blob.pushed', repository: blob.repository, digest: blob.digest, size: blob.size })
    },

    mountBlob(blob: { repository: string; digest: Digest; from: string }, act: Act): boolean {
      const source = repositoryId(blob.from)
      if (source === undefined || !linkedSize.get(source, blob.digest)) return false
      facts.link(ensureRepository(blob.repository), blob.digest)
      record(act, { type: 'blob.mounted', ...blob })
      return true
    },

    unlinkBlob(repository: string, digest: Digest, act: Act): boolean {
      const id = repositoryId(repository)
      if (id === undefined || removeLink.run(id, digest).changes === 0) return false
      record(act, { type: 'blob.deleted', repository, digest })
      return true
    },

    pushManifest(push: ManifestPush, act: Act): PushOutcome {
      const refused = objection(repositoryId(push.repository), push)
      if (refused) return refused
      const { digest, mediaType, content } = push.manifest
      const { artifactType, annotations, subject } = push
      const id = ensureRepository(push.repository)
      addManifest.run(id, digest, mediaType, subject ?? null, act.at, content)
      facts.refer(id, { subject, digest, mediaType, size: content.length, artifactType, annotations })
      for (const tag of push.tags) facts.tag(id, tag, digest, act.at)
      record(act, {
        type: 'manifest.pushed',
        repository: push.repository,
        digest,
        mediaType,
        size: content.length,
        tags: push.tags,
      })
      return { outcome: 'pushed' }
    },

    deleteManifest(repository: string, digest: Digest, act: Act): string[] | undefined {
      const id = repositoryId(repository)
      if (id === undefined || !manifestSize.get(id, digest)) return undefined
      const tags = removeTagsOf.all(id, digest).map((row) => String(row.name))
      for (const tag of tags) removeHistory.run(id, tag)
      removeReferrer.run(id, digest)
      removeManifest.run(id, digest)
      record(act, { type: 'manifest.deleted', repository, digest, tags })
      return tags
    },

    deleteTag(repository: string, tag: string, act: Act): boolean {
      const id = repositoryId(repository)
      if (id === undefined || removeTag.run(id, tag).changes === 0) return false
      removeHistory.run(id, tag)
      record(act, { type: 'tag.deleted', repository, tag })
      return true
    },

    createUpload(upload: Upload, at: number): void {
      addUpload.run(upload.id, upload.repository, upload.algorithm, at)
    },
    deleteUpload(id: string): void {
      removeUpload.run(id)
    },

    recordEvents(happenings: (Happening & { actor: Actor })[], at: number): void {
      for (const { actor, ...happening } of happenings) record({ at, actor }, happening as Happening)
    },
    setCursor(name: string, sequence: number, at: number): void {
      setCursor.run(name, sequence, at)
    },
    deleteCursor(name: string): void {
      removeCursor.run(name)
    },
    deleteEventsBefore(moment: number): void {
      removeEvents.run(moment)
    },

    claimJob(name: string, now: number, leaseMs: number): boolean {
      addJob.run(name, now)
      return leaseJob.run(now + leaseMs, name, now, now).changes === 1
    },
    releaseJob(name: string, dueAt: number): void {
      releaseJob.run(dueAt, name)
    },
  }
}
