import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { isDamage } from '../../platform/damage.ts'
import { type Unmeasured, unreadable } from '../../metadata/size-facts.ts'
import { blobPath } from '../../registry/paths.ts'
import { storedDigest } from '../../registry/stored-digest.ts'
import type { Platform } from '../feature.ts'
import { configOf, isPacked, layersOf, parse, platformOf } from './document.ts'
import { unpackedSize } from './unpacked.ts'

const maxConfig = 1 << 20

type Deps = Pick<Platform, 'storage' | 'metadata' | 'sizes' | 'log'>

/** Looks into an image: what its layers take unpacked, where that is not known, and for which platform it is. */
export function createMeasure({ storage, metadata, sizes, log }: Deps) {
  /** What it takes; undefined where nobody can say now, because it is away or damaged: that is for the scrubbing to mend. */
  async function measure(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const content = await storage.open(blobPath(digest))
    if (!content) return undefined
    const size = await unpackedSize(content, signal).finally(() => content.close())
    if (size !== unreadable) return size
    const found = await storedDigest(storage, blobPath(digest), algorithmOf(digest))
    return found === digest ? unreadable : undefined
  }

  async function readPlatform(image: Unmeasured): Promise<string> {
    const config = configOf(parse(image.content))
    const found = config && (await metadata.blobs.findAnywhere(config))
    if (!config || !found || found.size > maxConfig) return ''
    return platformOf(parse(await storage.get(blobPath(config))))
  }

  /** Without `layers` only for which platform it is. @throws Error where it cannot be read now, or `signal` aborts it */
  return async (image: Unmeasured, { layers, signal }: { layers: boolean; signal: AbortSignal }): Promise<void> => {
    const platform = await readPlatform(image)
    const packed = layers ? layersOf(parse(image.content)).filter(isPacked) : []
    const digests = [...new Set(packed.map(({ digest }) => digest))]
    const known = await sizes.unpacked(image.repository, digests)
    for (const digest of digests) {
      if (known.has(digest) || !(await metadata.blobs.findAnywhere(digest))) continue
      const bytes = await measure(digest, signal).catch((error: unknown) => {
        if (!isDamage(error)) throw error
        log.debug('blob.not-measured', { digest, error: String(error) })
        return undefined
      })
      if (bytes !== undefined) await sizes.unmeasured.note(digest, bytes)
    }
    await sizes.unmeasured.end(image.id, { platform })
  }
}
