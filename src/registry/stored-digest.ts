import { Writable } from 'node:stream'
import { type Algorithm, createDigester, type Digest } from '../oci/digest.ts'
import type { StorageDriver } from './ports/storage.ts'

/**
 * The digest of the bytes at a path, by reading all of them; undefined where nothing lies. They may be many gigabytes: others are
 * let in after each piece, or as `pace` has it; an error from it ends the reading.
 */
export async function storedDigest(
  storage: StorageDriver,
  path: string,
  algorithm: Algorithm,
  pace: (next: (error?: Error | null) => void) => void = setImmediate,
): Promise<Digest | undefined> {
  const content = await storage.open(path)
  if (!content) return undefined
  const digester = createDigester(algorithm)
  const sink = new Writable({
    write(chunk: Buffer, _encoding, next) {
      digester.update(chunk)
      pace(next)
    },
  })
  sink.on('error', () => undefined) // the digest is of less, then
  try {
    if (content.size > 0) await content.sendTo(sink, { first: 0, last: content.size - 1 })
    return digester.digest()
  } finally {
    await content.close()
  }
}
