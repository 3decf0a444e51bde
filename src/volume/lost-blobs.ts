import type { Digest } from '../oci/digest.ts'
import type { VolumeFacts } from '../metadata/volume-facts.ts'
import { blobPath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { blobsPath } from './layout.ts'
import type { Breathe } from './read.ts'

const pageSize = 500

/**
 * Blobs of the database whose bytes are gone, as another registry's garbage collector leaves them; `since` is the last event
 * before that was seen. None when there is not a single blob: then it is the folder that is gone.
 */
export async function* lostBlobs(
  storage: StorageDriver,
  metadata: Pick<MetadataStore, 'blobs'> & { volume: VolumeFacts },
  breathe: Breathe,
): AsyncGenerator<{ digest: Digest; since: number }> {
  if ((await storage.list(blobsPath)).length === 0) return
  for (let last = ''; ;) {
    const since = await metadata.volume.lastEvent()
    const blobs = await metadata.blobs.list({ last, limit: pageSize })
    for (const { digest } of blobs) {
      const data = await storage.stat(blobPath(digest)).catch(() => 'unreadable')
      if (data === undefined) yield { digest, since }
      await breathe()
    }
    if (blobs.length < pageSize) return
    last = blobs.at(-1)!.digest
  }
}
