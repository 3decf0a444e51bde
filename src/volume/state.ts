import type { VolumeFacts } from '../metadata/volume-facts.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { cursorName, settleMs } from './follow.ts'
import { blobsPath, layersPath, manifestsPath } from './layout.ts'
import { pendingRemovals, type TakenAway } from './pending.ts'
import type { Mode } from './reconcile.ts'

/** The cursor of a tree that was taken over once and is not followed. */
export const notFollowed = -1

export interface State {
  /** Who is right where tree and database differ; undefined: they are not compared. */
  mode: Mode | undefined
  /** The event after which the tree may lack something; undefined when it lacks nothing. */
  replayFrom: number | undefined
  /** What the events after that one will take out of the tree. */
  takenAway: TakenAway
}

interface Deps {
  metadata: Pick<MetadataStore, 'cursors' | 'events'>
  facts: VolumeFacts
  /** When the machine started: what was written before and not synced may be lost. */
  bootedAt: Date
}

/** How the tree stands to the database after the last run. */
export async function assess({ metadata, facts, bootedAt }: Deps): Promise<State> {
  const lacksNothing = { replayFrom: undefined, takenAway: () => false }
  const cursor = await metadata.cursors.get(cursorName)
  if (!cursor) return { mode: 'both', ...lacksNothing } // never followed: a volume of registry:2, or an older database
  if (cursor.sequence < 0) return { mode: 'database', ...lacksNothing }
  const isClean = cursor.sequence === (await facts.lastEvent()) && cursor.movedAt > bootedAt
  if (isClean) return { mode: 'tree', ...lacksNothing }
  const settled = await facts.lastEventBefore(new Date(cursor.movedAt.getTime() - settleMs))
  const replayFrom = Math.min(cursor.sequence, settled)
  return { mode: 'both', replayFrom, takenAway: await pendingRemovals(metadata.events, replayFrom) }
}

/** What to do about a volume of which nothing is there. */
export const goneAdvice =
  'the database has content and the volume has not; nothing is removed and the tree is not followed. If it is not mounted, mount it; else stop Holdfast and run holdfast fsck --repair, which writes the tree anew'

/**
 * Whether the blobs or all repositories are gone, though the database has content: a folder that is not mounted rather than a
 * registry that deleted everything.
 */
export async function whatIsGone(storage: StorageDriver, facts: VolumeFacts): Promise<'blobs' | 'tree' | undefined> {
  const isThere = (path: string) =>
    storage.list(path).then(
      (names) => names.length > 0,
      () => true, // what may not be read is there
    )
  let isEmpty = true
  for await (const name of facts.repositories()) {
    if (isEmpty && (await storage.list(blobsPath)).length === 0) return 'blobs'
    isEmpty = false
    if ((await isThere(manifestsPath(name))) || (await isThere(layersPath(name)))) return undefined
  }
  return isEmpty ? undefined : 'tree'
}
