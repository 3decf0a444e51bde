import { uploadPath, uploadsPath } from '../../registry/paths.ts'
import type { Feature, Platform } from '../feature.ts'

const day = 86_400_000
/** Bytes without a session are what a crash or a broken single-request push left; none of those takes a day to end. */
const orphanAge = day

/** Removes uploads nobody finishes, session and bytes, and bytes no session knows. */
export function uploadPurge({ configuration, storage, metadata, clock, log }: Platform): Feature {
  const { enabled, ageMs, intervalMs, dryRun } = configuration.storage.uploadPurge

  async function purge(signal: AbortSignal): Promise<void> {
    const now = clock.now().getTime()
    for (const id of await metadata.uploads.startedBefore(new Date(now - ageMs))) {
      if (signal.aborted) return
      if (dryRun) {
        log.info('upload.would-be-purged', { upload: id })
        continue
      }
      await metadata.uploads.delete(id)
      await storage.delete(uploadPath(id))
      log.info('upload.purged', { upload: id })
    }
    for (const name of await storage.list(uploadsPath)) {
      if (signal.aborted) return
      const found = await storage.stat(uploadPath(name))
      if (!found || found.modifiedAt.getTime() > now - orphanAge || (await metadata.uploads.find(name))) continue
      if (!dryRun) await storage.delete(uploadPath(name))
      log.info(dryRun ? 'upload.orphan-would-be-purged' : 'upload.orphan-purged', { upload: name })
    }
    const swept = dryRun ? 0 : await storage.sweep?.(new Date(now - ageMs))
    if (swept) log.info('upload.rests-purged', { count: swept })
  }
  const job = { name: 'upload-purge', everySeconds: intervalMs / 1000, run: purge }
  return { name: 'upload-purge', jobs: enabled ? [job] : [] }
}
