import type { Vault } from '../../auth/vault.ts'
import type { Digest } from '../../oci/digest.ts'
import type { MetadataStore } from '../../registry/ports/metadata.ts'
import type { AccountFacts } from '../account-facts.ts'
import type { CollectionFacts } from '../collection-facts.ts'
import type { HistoryFacts } from '../history-facts.ts'
import type { RuleFacts } from '../rule-facts.ts'
import type { ImmutabilityRule } from '../../rules/immutability.ts'
import { limitsOn, type QuotaRule } from '../../rules/quotas.ts'
import type { QuotaFacts } from '../quota-facts.ts'
import type { RowFacts } from '../row-facts.ts'
import type { SizeFacts } from '../size-facts.ts'
import type { Tallies } from '../tally-facts.ts'
import type { UploadStates } from '../upload-states.ts'
import type { VolumeFacts } from '../volume-facts.ts'
import { createAccountFacts } from './account-facts.ts'
import { createCollectionFacts } from './collection-facts.ts'
import { freshMs } from './fact-writer.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import type { createReads } from './reads.ts'
import { createRowFacts } from './row-facts.ts'
import { createRuleFacts } from './rule-facts.ts'
import type { Steps } from './statement.ts'
import { createHistory } from './history.ts'
import { createProtection } from './protecting.ts'
import { createQuotaFacts } from './quota-facts.ts'
import { createSizeFacts } from './size-facts.ts'
import { createTallies } from './tallies.ts'
import { createUploadStates } from './upload-states.ts'
import { createVault } from './vault.ts'
import { createVolumeFacts } from './volume-facts.ts'

export type SqlStore = MetadataStore & {
  volume: VolumeFacts
  uploadStates: UploadStates
  vault: Vault
  tallies: Tallies
  accounts: AccountFacts
  history: HistoryFacts
  collection: CollectionFacts
  rules: RuleFacts
  sizes: SizeFacts
  quotas: QuotaFacts
  rows: RowFacts
}

interface Deps {
  reads: ReturnType<typeof createReads>
  textsOf: Dialect['textsOf']
  /** The rules of the configuration for tags that do not change. */
  immutability?: readonly ImmutabilityRule[] | undefined
  /** The quotas of the configuration. */
  limits?: readonly QuotaRule[] | undefined
  /** Takes the steps of a read. */
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  clock: { now(): Date }
  /** Milliseconds by which all nodes go. */
  leaseNow?: () => number
  findManifest: MetadataStore['manifests']['find']
  /** Called when this was changed without an event: for what is kept in memory. */
  forget(repository: string, digest: Digest | undefined, tags: string[]): void
  close(): Promise<void>
}

/** The port over a database that takes steps: what both databases share. */
export function createSqlStore({
  reads,
  textsOf,
  read,
  run,
  clock,
  findManifest,
  forget,
  close,
  ...deps
}: Deps): SqlStore {
  const now = () => clock.now().getTime()
  const { leaseNow = now } = deps
  const protection = createProtection({ read, rules: deps.immutability ?? [] })

  /** Who asks for a blob may be about to push what refers to it: before they are told that it is there, its grace begins anew. */
  async function findBlob(repository: string, digest: Digest): Promise<{ size: number } | undefined> {
    const found = await read(reads.blob(repository, digest, now() - freshMs))
    if (!found) return undefined
    const stays = !found.isFading || (await run('renewDoubt', repository, digest, now()).catch(isUnableToWrite))
    return stays ? { size: found.size } : undefined
  }

  return {
    repositories: {
      list: async (page) => read(reads.repositories(page)),
    },
    blobs: {
      find: findBlob,
      findAnywhere: async (digest) => read(reads.blobAnywhere(digest)),
      repositoriesOf: async (digest) => read(reads.repositoriesOfBlob(digest)),
      list: async (page) => read(reads.blobs(page)),
      async commit(blob, actor) {
        if (await run('commitBlob', blob, { at: now(), actor })) return
        const message = `${blob.digest} was collected while it was being committed: it has to be pushed again`
        throw Object.assign(new Error(message), { code: 'EAGAIN' })
      },
      mount: (blob, actor) => run('mountBlob', blob, { at: now(), actor }),
      unlink: (repository, digest, actor) =>
        protection.hold({ repository, digest, from: 'delete' }, (held) =>
          run('unlinkBlob', repository, digest, { at: now(), actor }, held),
        ),
    },
    manifests: {
      find: findManifest,
      push: (push, actor) =>
        protection.hold({ ...push, from: 'overwrite' }, (held) =>
          run('pushManifest', push, { at: now(), actor }, held, limitsOn(deps.limits ?? [], push.repository)),
        ),
      delete: (repository, digest, actor) =>
        protection.hold({ repository, digest, from: 'delete' }, (held) =>
          run('deleteManifest', repository, digest, { at: now(), actor }, held),
        ),
      referrers: async (repository, subject, artifactTypes, page) =>
        read(reads.referrers(repository, subject, artifactTypes, page)),
    },
    tags: {
      list: async (repository, page) => read(reads.tags(repository, page)),
      delete: (repository, tag, actor) =>
        protection.hold({ repository, tags: [tag], from: 'delete' }, (held) =>
          run('deleteTag', repository, tag, { at: now(), actor }, held),
        ),
    },
    uploads: {
      create: (upload) => run('createUpload', upload, now()),
      find: async (id) => read(reads.upload(id)),
      delete: (id) => run('deleteUpload', id),
      startedBefore: async (moment) => read(reads.uploadsBefore(moment.getTime())),
    },
    events: {
      after: async (sequence, limit) => read(reads.events(sequence, limit)),
      last: async () => read(reads.lastEvent()),
      record: (happenings) => run('recordEvents', happenings, now()),
      deleteBefore: (moment) => run('deleteEventsBefore', moment.getTime()),
    },
    cursors: {
      get: async (name) => read(reads.cursor(name)),
      set: (name, sequence) => run('setCursor', name, sequence, now()),
      delete: (name) => run('deleteCursor', name),
      names: async () => read(reads.cursors()),
    },
    jobs: {
      claim: (name, holder, leaseSeconds) => run('claimJob', { name, holder }, leaseNow(), leaseSeconds * 1000),
      release: (name, holder, seconds) => run('releaseJob', { name, holder }, leaseNow() + seconds * 1000),
    },
    volume: createVolumeFacts({ reads, read, run, now, textsOf, forget }),
    history: createHistory({ read }),
    collection: createCollectionFacts({ read, run, now, textsOf }),
    rules: createRuleFacts({ read, run, now, textsOf, protection }),
    sizes: createSizeFacts({ read, run, textsOf }),
    quotas: createQuotaFacts({ read, run, now, textsOf }),
    rows: createRowFacts({ read, run, textsOf }),
    uploadStates: createUploadStates({ read, run, now }),
    accounts: createAccountFacts({ read, run, now }),
    vault: createVault({ read, run, now }),
    tallies: createTallies({ run, now: leaseNow }),
    close,
  }
}

/** A full disk keeps nobody from pulling, and whoever would push is refused anyway. */
function isUnableToWrite(error: unknown): true {
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return true
  throw error
}
