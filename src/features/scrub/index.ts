import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { isDamage } from '../../platform/damage.ts'
import { blobPath, quarantinePath } from '../../registry/paths.ts'
import { storedDigest } from '../../registry/stored-digest.ts'
import type { Feature, Platform } from '../feature.ts'

const day = 86_400_000
const everySeconds = 300
/** Between two reads of 256 KiB: at most some 60 MB/s, and requests come first. */
const pauseMs = 4
const pageSize = 100

/**
 * Reads every blob once a day and moves aside what is not what its digest says: from then on it is unknown, and a new push
 * stores it again. An object store looks after its bytes itself, and every read of them costs. Digests are evenly spread, so the time of day is the place in their order; nothing needs to be remembered.
 */
export function scrub({ configuration, storage, metadata, clock, log }: Platform): Feature {
  let done: number | undefined

  async function run(signal: AbortSignal): Promise<void> {
    const now = clock.now().getTime()
    const from = Math.max(done ?? now - everySeconds * 1000, now - day)
    // A slice that passes midnight goes round the end of the order.
    const [first, last] = [from % day, now % day]
    const slices =
      now - from >= day
        ? [[0, day]]
        : first <= last
          ? [[first, last]]
          : [
              [first, day],
              [0, last],
            ]
    for (const [begin, end] of slices)
      for (const algorithm of ['sha256', 'sha512'])
        await scrubSlice(placeOf(algorithm, begin!), placeOf(algorithm, end!), signal)
    if (!signal.aborted) done = now
  }

  async function scrubSlice(after: string, end: string, signal: AbortSignal): Promise<void> {
    for (let last = after; ;) {
      const blobs = await metadata.blobs.list({ last, limit: pageSize })
      for (const { digest, size } of blobs) {
        if (signal.aborted || digest > end) return
        last = digest
        try {
          await check(digest, size, signal)
        } catch (error) {
          log.error('blob.unreadable', { digest, error: String(error) })
        }
      }
      if (blobs.length < pageSize) return
    }
  }

  async function check(digest: Digest, size: number, signal: AbortSignal): Promise<void> {
    const pace = (next: (error?: Error | null) => void) =>
      setTimeout(next, pauseMs, signal.aborted ? new Error('stopped') : null)
    const found = await storedDigest(storage, blobPath(digest), algorithmOf(digest), pace).catch(unlessDamaged)
    if (!found) return log.error('blob.missing', { digest, size })
    if (found === digest || signal.aborted) return
    await storage.publish(blobPath(digest), quarantinePath(digest))
    // A push may have brought good bytes in between: they go back to their place.
    const moved = await storedDigest(storage, quarantinePath(digest), algorithmOf(digest)).catch(unlessDamaged)
    if (moved === digest) return storage.publish(quarantinePath(digest), blobPath(digest))
    log.error('blob.quarantined', { digest, size, path: quarantinePath(digest) })
  }

  return { name: 'scrub', jobs: configuration.storage.objects ? [] : [{ name: 'scrub', everySeconds, run }] }
}

function unlessDamaged(error: unknown): string {
  if (isDamage(error)) return 'damaged'
  throw error
}

/** Where in the order of digests a moment of the day lies. */
function placeOf(algorithm: string, moment: number): string {
  if (moment >= day) return `${algorithm}:g` // after every hexadecimal digit
  return `${algorithm}:${Math.floor((moment / day) * 2 ** 32)
    .toString(16)
    .padStart(8, '0')}`
}
