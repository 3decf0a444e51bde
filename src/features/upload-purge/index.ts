import { uploadPath, uploadsPath } from '../../registry/paths.ts'
import type { Feature, Platform } from '../feature.ts'

const day = 86_400_000
/** As registry:2: an upload nobody finished in a week is given up. */
const maxAge = 7 * day
/** Bytes without a session are what a crash or a broken single-request push left; none of those takes a day to end. */
const orphanAge = day

/** Removes uploads nobody finishes, session and bytes, and bytes no session knows. */
export function uploadPurge({ storage, metadata, clock, log }: Platform): Feature {
  async function purge(signal: AbortSignal): Promise<void> {
    const now = clock.now().getTime()
    for (const id of await metadata.uploads.startedBefore(new Date(now - maxAge))) {
      if (signal.aborted) return
      await metadata.uploads.delete(id)
      await storage.delete(uploadPath(id))
      log.info('upload.purged', { upload: id })
    }
    for (const name of await storage.list(uploadsPath)) {
      if (signal.aborted) return
      const found = await storage.stat(uploadPath(name))
      if (!found || found.modifiedAt.getTime() > now - orphanAge || (await metadata.uploads.find(name))) continue
      await storage.delete(uploadPath(name))
      log.info('upload.orphan-purged', { upload: name })
    }
  }
  return { name: 'upload-purge', jobs: [{ name: 'upload-purge', everySeconds: 3600, run: purge }] }
}
