import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { algorithmOf, createDigester, type Digest } from '../oci/digest.ts'
import type { Log } from '../platform/log.ts'
import { blobPath, uploadPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'

interface Deps {
  storage: StorageDriver
  /** Bytes of a blob, which nobody has checked; undefined where somebody has none. */
  repairFrom: ((digest: Digest) => Promise<Readable | undefined>) | undefined
  log: Log
}

/** Puts bytes of a blob where they belong if somebody has them and they are what its digest says; whether that was so. */
export function createMend({ storage, repairFrom, log }: Deps) {
  return async (digest: Digest): Promise<boolean> => {
    if (!repairFrom) return false
    const id = uploadPath(randomUUID())
    try {
      const source = await repairFrom(digest)
      if (!source) return false
      const digester = createDigester(algorithmOf(digest))
      source.on('error', () => {}) // whoever reads it throws it
      await storage.append(id, 0, source, (chunk) => void digester.update(chunk), blobPath(digest))
      if (digester.digest() !== digest) throw new Error('what is there is damaged as well')
      await storage.publish(id, blobPath(digest))
      log.info('blob.repaired', { digest })
      return true
    } catch (error) {
      await storage.delete(id).catch(() => undefined)
      log.error('blob.not-repaired', { digest, error: String(error) })
      return false
    }
  }
}
