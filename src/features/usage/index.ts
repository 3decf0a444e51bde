import { setTimeout } from 'node:timers/promises'
import { inBackground } from '../background.ts'
import type { Feature, Platform } from '../feature.ts'
import type { createMeasure } from './measure.ts'

/** So soon it is looked at what somebody asked for. */
const lookMs = 2000
/** So often all others are; a burst of pushes comes first. */
const everyMs = 60_000
/** Between two images, as after a volume was taken over: requests come first. */
const pauseMs = 5

/**
 * How much is stored of what. What layers take unpacked is found out beside everything else, on one node of all; in an object store,
 * where every read costs, only of images that somebody asks about.
 */
export function usage(platform: Platform): Feature {
  const { configuration, sizes, clock, log } = platform
  const layers = configuration.storage.objects === undefined
  /** Loaded with the first image there is. */
  let measure: ReturnType<typeof createMeasure> | undefined

  async function work(signal: AbortSignal): Promise<void> {
    for (let due = 0; ;) {
      await setTimeout(lookMs, undefined, { signal, ref: false }) // also at first: a start has better to do
      const isDue = performance.now() >= due
      if (isDue) due = performance.now() + everyMs
      await pass(isDue, signal).catch((error: unknown) => {
        if (!signal.aborted) log.warn('sizes.not-measured', { error: String(error) })
      })
    }
  }

  /** Goes on until nothing is left; what cannot be read now waits for the next time. */
  async function pass(isDue: boolean, signal: AbortSignal): Promise<void> {
    const pushedBefore = clock.now().getTime() - everyMs
    for (let after = 0; ;) {
      signal.throwIfAborted()
      const asked = await sizes.unmeasured.next('asked')
      const image = asked ?? (isDue ? await sizes.unmeasured.next({ pushedBefore, after }) : undefined)
      if (!image) return
      if (!asked) {
        after = image.id
        await setTimeout(pauseMs, undefined, { signal })
      }
      measure ??= (await import('./measure.ts')).createMeasure(platform)
      await measure(image, { layers: layers || asked !== undefined, signal }).catch(async (error: unknown) => {
        signal.throwIfAborted()
        log.warn('image.not-measured', { repository: image.repository, digest: image.digest, error: String(error) })
        if (asked) await sizes.unmeasured.end(image.id, undefined)
      })
    }
  }

  return {
    name: 'usage',
    duty: inBackground(work, (error) => log.error('sizes.failed', { error: String(error) })),
    async api() {
      const { usageOperations } = await import('./operations.ts')
      return usageOperations(platform)
    },
  }
}
