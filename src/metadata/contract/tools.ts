import assert from 'node:assert/strict'
import type { Vault } from '../../auth/vault.ts'
import { type Digest, digestOf } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { ManifestPush, MetadataStore } from '../../registry/ports/metadata.ts'
import type { AccountFacts } from '../account-facts.ts'
import type { CollectionFacts } from '../collection-facts.ts'
import type { HistoryFacts } from '../history-facts.ts'
import type { QuotaFacts } from '../quota-facts.ts'
import type { RuleFacts } from '../rule-facts.ts'
import type { Tallies } from '../tally-facts.ts'
import type { SizeFacts } from '../size-facts.ts'
import type { UploadStates } from '../upload-states.ts'
import type { VolumeFacts } from '../volume-facts.ts'

/** A store with all that is asked of one. */
type Store = MetadataStore & {
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
}

export interface Created {
  store: Store
  /** Closes the store and opens the same data again. */
  reopen(): Promise<Store>
  dispose(): Promise<void>
}

interface World {
  store(): Store
  reopen(): Promise<void>
  passSeconds(seconds: number): void
  now(): Date
}

export type Tools = ReturnType<typeof contractTools>

export const actor = { name: 'alice', address: '192.0.2.1' }

/** The steps that tests of the contract share. */
export function contractTools(world: World) {
  return {
    ...world,

    /** Makes a blob of the repository out of thin air. */
    async commitBlob(repository: string, text: string): Promise<Digest> {
      const digest = digestOf(Buffer.from(text))
      await world.store().blobs.commit({ repository, digest, size: text.length, upload: 'none' }, actor)
      return digest
    },

    /** Events recorded while `work` ran. */
    async eventsOf(work: () => Promise<unknown>): Promise<RegistryEvent[]> {
      const before = await lastSequence(world.store())
      await work()
      const events = await world.store().events.after(before, 1000)
      return events.map(({ sequence: _sequence, ...event }) => event)
    },

    /** Pushes and expects it to succeed. */
    async push(push: ManifestPush): Promise<Digest> {
      assert.deepEqual(await world.store().manifests.push(push, actor), { outcome: 'pushed' })
      return push.manifest.digest
    },
  }
}

/** A push of a manifest whose bytes are `text`; the registry reads them, the store does not. */
export function pushOf(repository: string, text: string, more: Partial<ManifestPush> = {}): ManifestPush {
  const content = Buffer.from(text)
  return {
    repository,
    manifest: { digest: digestOf(content), mediaType: mediaTypes.image, content },
    tags: [],
    artifactType: undefined,
    subject: undefined,
    annotations: undefined,
    references: [],
    ...more,
  }
}

async function lastSequence(store: MetadataStore): Promise<number> {
  let last = 0
  for (;;) {
    const events = await store.events.after(last, 1000)
    if (events.length === 0) return last
    last = events.at(-1)!.sequence
  }
}
