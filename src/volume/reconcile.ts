import { type Found, type FoundManifest, registry2, type VolumeFacts } from '../metadata/volume-facts.ts'
import { blobPath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { createComparison, type Difference } from './compare.ts'
import type { TakenAway } from './pending.ts'
import { type Breathe, createTreeReader } from './read.ts'
import type { TreeWriter } from './write.ts'

/**
 * Who is right where tree and database differ: the tree, when it followed every event, so that only another registry can have
 * changed it; both, when it may lack something: then nothing is taken away and the later tag holds; the database, when the
 * tree was not followed for a while.
 */
export type Mode = 'tree' | 'both' | 'database'

export interface Counts {
  repositories: number
  blobs: number
  manifests: number
  tags: number
  removed: number
}

export interface ReconcileDeps {
  storage: StorageDriver
  metadata: Pick<MetadataStore, 'blobs' | 'manifests' | 'tags'>
  facts: VolumeFacts
  writer: TreeWriter
  onUnreadable(path: string, error: unknown): void
}

interface How {
  mode: Mode
  pending(): TakenAway | Promise<TakenAway>
  /** Takes nothing in when the repository was changed after this event: then it throws `ChangedMeanwhile`. */
  since?: number
  /** Sees to it that the tree gets what it lacks; undefined when it shall not be written. */
  write: ((work: () => Promise<void>) => void | Promise<void>) | undefined
  breathe: Breathe
}

const portion = 500

/** Something happened in the repository while it was compared. */
export class ChangedMeanwhile extends Error {}

/** Brings tree and database of one repository into agreement; `counts` grows by what was done. */
export function createReconciliation({ storage, metadata, facts, writer, onUnreadable }: ReconcileDeps) {
  const reader = createTreeReader(storage)
  const counts: Counts = { repositories: 0, blobs: 0, manifests: 0, tags: 0, removed: 0 }
  const compare = createComparison({ storage, reader, facts, manifests: metadata.manifests, onUnreadable })

  /** False when not all of it could be read. */
  async function reconcile(repository: string, { mode, pending, since, write, breathe }: How): Promise<boolean> {
    const difference = await compare(repository, {
      pending,
      treeWins: (inTree, inDatabase) => mode === 'tree' || (mode === 'both' && inTree > inDatabase),
      takeManifests: (manifests) =>
        mode === 'database' ? Promise.resolve() : takeManifests(repository, manifests, since),
      breathe,
    })
    if (mode === 'database') await removeFound(repository, difference)
    else await takeIn(repository, difference, since)
    counts.repositories++
    if (!difference.whole) return mode === 'tree' // what seems lost may only be out of reach
    if (mode === 'tree') await forgetLost(repository, difference)
    const { lost, kept } = difference
    const rest =
      mode === 'tree' ? { layers: kept, manifests: [], tags: [] } : { ...lost, layers: [...lost.layers, ...kept] }
    if (countOf(rest) > 0) await write?.(() => writeLost(repository, rest))
    return true
  }

  async function take(repository: string, found: Partial<Found>, since: number | undefined): Promise<void> {
    const all = { blobs: [], manifests: [], tags: [], ...found }
    if (!(await facts.takeIn(repository, all, since))) throw new ChangedMeanwhile(repository)
  }

  async function takeManifests(repository: string, manifests: FoundManifest[], since?: number): Promise<void> {
    if (manifests.length > 0) await take(repository, { manifests }, since)
    counts.manifests += manifests.length
  }

  async function takeIn(repository: string, { found, aliases }: Difference, since?: number): Promise<void> {
    for (const { digest, target } of aliases) await storage.alias(blobPath(target), blobPath(digest))
    for (const blobs of portionsOf(found.blobs)) await take(repository, { blobs }, since)
    for (const tags of portionsOf(found.tags)) await take(repository, { tags }, since)
    counts.blobs += found.blobs.length
    counts.tags += found.tags.length
  }

  /** What another registry took away is taken away here too. */
  async function forgetLost(repository: string, { lost }: Difference): Promise<void> {
    for (const digests of portionsOf(lost.manifests))
      await Promise.all(digests.map((digest) => metadata.manifests.delete(repository, digest, registry2)))
    for (const tags of portionsOf(lost.tags))
      await Promise.all(tags.map((tag) => metadata.tags.delete(repository, tag, registry2)))
    for (const digests of portionsOf(lost.layers))
      await Promise.all(digests.map((digest) => metadata.blobs.unlink(repository, digest, registry2)))
    counts.removed += countOf(lost)
  }

  /** Writes into the tree what only the database knows. */
  async function writeLost(repository: string, lost: Difference['lost']): Promise<void> {
    const known = await facts.of(repository)
    for (const digest of lost.layers) {
      const data = await storage.stat(blobPath(digest))
      if (data) await writer.layer(repository, digest, data.modifiedAt)
    }
    for (const digest of lost.manifests) {
      const manifest = await metadata.manifests.find(repository, { digest })
      if (manifest) await writer.manifest(repository, manifest, new Date(known.manifests.get(digest)?.pushedAt ?? 0))
    }
    for (const name of lost.tags) {
      const tag = known.tags.get(name)
      if (tag) await writer.tag(repository, name, tag.digest, new Date(tag.movedAt))
    }
  }

  /** Takes out of the tree what the database does not know. */
  async function removeFound(repository: string, { found }: Difference): Promise<void> {
    const now = new Date(0)
    for (const { name } of found.tags) await writer.removeTag(repository, name, now)
    for (const digest of found.manifests) await writer.removeManifest(repository, digest, now)
    for (const { digest } of found.blobs) await writer.removeLayer(repository, digest, now)
  }

  return { reconcile, compare, reader, counts }
}

const countOf = ({ layers, manifests, tags }: Difference['lost']) => layers.length + manifests.length + tags.length

function* portionsOf<T>(items: T[]): Generator<T[]> {
  for (let i = 0; i < items.length; i += portion) yield items.slice(i, i + portion)
}
