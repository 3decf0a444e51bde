import type { Configuration } from '../config/configuration.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { each } from '../storage/object/parallel.ts'
import { openReadable } from '../stores.ts'
import { type Progress, type Tell, width } from './back-up.ts'
import { objectionTo } from './content.ts'
import { withFacts } from './facts.ts'
import { readSnapshot, type Snapshot, withDatabase } from './snapshots.ts'

interface Options {
  configuration: Configuration
  clock: { now(): Date }
  from: StorageDriver
  tell: Tell
  /** The newest by default. */
  snapshot?: string | undefined
  /** Looks at sizes only. */
  isQuick: boolean
}

/**
 * Whether a server could be restored from a snapshot; reads all of it. Tells of each blob that is not as it should be.
 * @throws Error where the snapshot itself is damaged
 */
export async function verify({ configuration, clock, from: raw, tell, isQuick, ...options }: Options) {
  const snapshot = await readSnapshot(raw, options.snapshot)
  return withDatabase(raw, snapshot, (file) =>
    withFacts(file, async (facts): Promise<{ name: string; wrong: number } & Snapshot> => {
      const place = { raw, readable: await openReadable(configuration, raw, clock) }
      const progress: Progress = { done: 0, of: facts.totals.blobs, copied: 0, copiedBytes: 0 }
      let wrong = 0
      for await (const blobs of facts.blobs())
        await each(blobs, width, async (blob) => {
          const problem = await objectionTo(place, blob, isQuick)
          if (problem !== undefined) {
            wrong++
            tell.problem(blob.digest, problem, await facts.imagesOf(blob.digest))
          }
          progress.done++
          tell.progress(progress)
        })
      return { ...snapshot, wrong }
    }),
  )
}
