import type { VolumeFacts } from '../metadata/volume-facts.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { cursorName, settleMs } from './follow.ts'
import { blobsPath, layersPath, manifestsPath, repositoriesPath } from './layout.ts'
import type { Mode } from './reconcile.ts'

/** The cursor of a tree that was taken over once and is not followed. */
export const notFollowed = -1

export interface State {
  /** Who is right where tree and database differ; undefined: they are not compared. */
  mode: Mode | undefined
  /** The event after which the tree may lack something; undefined when it lacks nothing. */
  replayFrom: number | undefined
}

interface Deps {
  metadata: Pick<MetadataStore, 'cursors'>
  facts: VolumeFacts
  /** When the machine started: what was written before and not synced may be lost. */
  bootedAt: Date
}

/** How the tree stands to the database after the last run. */
export async function assess({ metadata, facts, bootedAt }: Deps): Promise<State> {
  const cursor = await metadata.cursors.get(cursorName)
  if (!cursor) return { mode: 'both', replayFrom: undefined } // never followed: a volume of registry:2, or an older database
  if (cursor.sequence < 0) return { mode: 'database', replayFrom: undefined }
  const isClean = cursor.sequence === facts.lastEvent() && cursor.movedAt > bootedAt
  if (isClean) return { mode: 'tree', replayFrom: undefined }
  const settled = facts.lastEventBefore(new Date(cursor.movedAt.getTime() - settleMs))
  return { mode: 'both', replayFrom: Math.min(cursor.sequence, settled) }
}

/**
 * Whether the tree is gone as a whole, though the database has content: a folder that is not mounted rather than a registry that
 * deleted everything.
 */
export async function isTreeGone(storage: StorageDriver, facts: VolumeFacts): Promise<boolean> {
  const known = facts.repositories()
  if (known.length === 0) return false
  if ((await storage.list(repositoriesPath)).length === 0) return true
  if ((await storage.list(blobsPath)).length === 0) return true
  for (const name of known) {
    if ((await storage.list(manifestsPath(name))).length > 0) return false
    if ((await storage.list(layersPath(name))).length > 0) return false
  }
  return true
}
