import type { UploadStates } from '../../metadata/upload-states.ts'
import { OciError } from '../../oci/errors.ts'
import type { Stored } from './parts.ts'

/** What lies where of content that is on its way in: bytes in parts; the rest in an object or, when it is little, right here. */
export interface Staged {
  size: number
  stored?: Stored | undefined
  rest?: { key: string } | { bytes: string } | undefined
}

export interface Known<S = Staged> {
  staged: S
  version: number
  changedAt: Date
}

/** More sessions than one process has at a time; of those nobody goes on with the oldest are forgotten. */
const maxSeen = 20_000

/**
 * The states of uploads, in the database. Every change names the version it is made from: of two nodes that write to one upload
 * the later one is refused before it can harm anything.
 */
export function createStates<S = Staged>(states: UploadStates) {
  /** The version of each state as this process saw it last. */
  const seen = new Map<string, number>()
  function see(path: string, version: number): void {
    seen.delete(path)
    seen.set(path, version)
    if (seen.size > maxSeen) seen.delete(seen.keys().next().value!)
  }

  return {
    async find(path: string): Promise<Known<S> | undefined> {
      const found = await states.get(path)
      return found && { staged: JSON.parse(found.state) as S, version: found.version, changedAt: found.changedAt }
    },
    /** Gives the new version. @throws OciError RANGE_INVALID when another writer was quicker */
    async save(path: string, staged: S, version: number): Promise<number> {
      if (!(await states.set(path, JSON.stringify(staged), version))) throw conflict()
      see(path, version + 1)
      return version + 1
    },
    /** This process knows the bytes of this version. */
    see,
    /** Whether nobody changed it since. */
    isSeen: (path: string, version: number) => seen.get(path) === version,
    async delete(path: string): Promise<void> {
      seen.delete(path)
      await states.delete(path)
    },
    below: states.below,
  }
}

export type States<S = Staged> = ReturnType<typeof createStates<S>>

export function conflict(): OciError {
  const message = 'another request is writing to this upload: ask where it stands and go on there'
  return new OciError('RANGE_INVALID', { message })
}
