import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { isDamage } from '../../platform/damage.ts'
import { blobPath, quarantinePath } from '../../registry/paths.ts'
import { storedDigest } from '../../registry/stored-digest.ts'
import { createMend } from '../../volume/mend.ts'
import { createAlert } from '../alert.ts'
import type { Platform } from '../feature.ts'

/** What came of looking at a blob: `repaired` when it was missing or damaged and is whole again. */
export type Outcome = 'whole' | 'missing' | 'quarantined' | 'repaired'

type Deps = Pick<Platform, 'storage' | 'metadata' | 'log' | 'repairFrom'>

/** Between two reads of 256 KiB: at most some 60 MB/s, and requests come first. */
const pauseMs = 4

/** An alert names so many repositories. */
const mostNamed = 10

/** Reads blobs, moves aside what is not what its digest says, and mends it where somebody has the bytes. */
export function createCheck({ storage, metadata, log, repairFrom }: Deps) {
  const alert = createAlert({ metadata, log })
  const repair = createMend({ storage, repairFrom, log })

  /** @throws Error where the blob cannot be read, or `signal` aborts it */
  async function check(digest: Digest, size: number, signal: AbortSignal): Promise<Outcome> {
    const pace = (next: (error?: Error | null) => void) =>
      setTimeout(next, pauseMs, signal.aborted ? new Error('stopped') : null)
    const found = await storedDigest(storage, blobPath(digest), algorithmOf(digest), pace).catch(unlessDamaged)
    signal.throwIfAborted()
    if (found === digest) return 'whole'
    if (!found) {
      if (!(await metadata.blobs.findAnywhere(digest))) return 'whole' // deleted meanwhile
      log.error('blob.missing', { digest, size })
      return tell(digest, size, (await repair(digest)) ? 'repaired' : 'missing')
    }
    await storage.publish(blobPath(digest), quarantinePath(digest))
    // A push may have brought good bytes in between: they go back to their place.
    const moved = await storedDigest(storage, quarantinePath(digest), algorithmOf(digest)).catch(unlessDamaged)
    if (moved === digest) {
      await storage.publish(quarantinePath(digest), blobPath(digest))
      return 'whole'
    }
    log.error('blob.quarantined', { digest, size, path: quarantinePath(digest) })
    return tell(digest, size, (await repair(digest)) ? 'repaired' : 'quarantined')
  }

  async function tell(digest: Digest, size: number, outcome: 'missing' | 'quarantined' | 'repaired'): Promise<Outcome> {
    const repositories = (await metadata.blobs.repositoriesOf(digest)).slice(0, mostNamed)
    await alert(`blob.${outcome}`, { digest, size, repositories })
    return outcome
  }

  return check
}

function unlessDamaged(error: unknown): string {
  if (isDamage(error)) return 'damaged'
  throw error
}
