import { randomUUID } from 'node:crypto'
import { PassThrough, pipeline, Readable, Transform } from 'node:stream'
import { algorithmOf, createDigester, type Digest } from '../oci/digest.ts'
import { isDamage } from '../platform/damage.ts'
import { blobPath, uploadPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { storedDigest } from '../registry/stored-digest.ts'
import { sealedPath } from '../storage/encrypted/paths.ts'

/** A storage, and what lies in it as it was before it was encrypted; the same where nothing is. */
export interface Side {
  raw: StorageDriver
  readable: StorageDriver
}

export interface Blob {
  digest: Digest
  size: number
}

/** How long to wait, in milliseconds, after so many bytes. */
export type Pace = (bytes: number) => number

const unpaced: Pace = () => 0

/** Lets so many bytes pass in a second, together. */
export function createPace(bytesPerSecond: number): Pace {
  let free = performance.now()
  return (bytes) => {
    const now = performance.now()
    free = Math.max(free, now) + (bytes / bytesPerSecond) * 1000
    return free - now
  }
}

/** Why a blob is not there as it should be; undefined when it is. With `isQuick` its bytes are not read. */
export async function objectionTo({ readable }: Side, { digest, size }: Blob, isQuick: boolean) {
  const path = blobPath(digest)
  const found = await readable.stat(path)
  if (!found) return 'is missing'
  if (found.size !== size) return `has ${found.size} bytes instead of ${size}`
  if (isQuick) return undefined
  const actual = await storedDigest(readable, path, algorithmOf(digest)).catch(describeDamage)
  return actual === digest ? undefined : 'is damaged'
}

/**
 * Copies a blob as it lies, hashing it, and publishes it only where it is what its name says; tells what is wrong with it otherwise.
 * @throws what either storage throws that has nothing to do with this blob
 */
export async function copyBlob(
  from: Side,
  to: StorageDriver,
  { pace = unpaced, ...blob }: Blob & { pace?: Pace | undefined },
): Promise<string | undefined> {
  const plain = blobPath(blob.digest)
  const isSealed = from.raw !== from.readable && (await from.raw.stat(sealedPath(plain))) !== undefined
  if (!isSealed) return copyFile(from.raw, to, { path: plain, pace, ...blob })
  // What is encrypted says by itself whether it is whole, but only to who decrypts it.
  const problem = await objectionTo(from, blob, false)
  return problem ?? copyFile(from.raw, to, { path: sealedPath(plain), pace })
}

/** Copies what lies at a path, as long as it is what is expected. */
async function copyFile(
  from: StorageDriver,
  to: StorageDriver,
  { path, pace, digest, size }: { path: string; pace: Pace } & Partial<Blob>,
): Promise<string | undefined> {
  const content = await from.open(path)
  if (!content) return 'is missing'
  let problem = size === undefined || content.size === size ? undefined : `has ${content.size} bytes instead of ${size}`
  const digester = digest && createDigester(algorithmOf(digest))
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digester?.update(chunk)
      const copy = Buffer.from(chunk) // whoever sends uses its buffer again
      const ms = pace(chunk.length)
      if (ms > 0) setTimeout(done, ms, null, copy)
      else done(null, copy)
    },
    flush(done) {
      if (digest !== undefined && digester?.digest() !== digest) problem = 'is damaged'
      done(problem === undefined ? null : new Error(problem))
    },
  })
  through.on('error', () => {}) // whoever reads it throws it
  try {
    if (problem) return problem
    const sent = content.size > 0 ? content.sendTo(through, { first: 0, last: content.size - 1 }) : Promise.resolve()
    sent.then(
      () => through.end(),
      (error: Error) => {
        // A store that is away says nothing about the blob.
        if (!('code' in error && error.code === 'EAGAIN')) problem ??= `cannot be read: ${error.message}`
        through.destroy(error)
      },
    )
    await publish(to, path, through)
    return undefined
  } catch (error) {
    if (problem === undefined) throw error
    return problem
  } finally {
    through.destroy()
    await content.close()
  }
}

/** Writes a file that is on the disk, whole, once this resolves. */
export async function writeFile(to: StorageDriver, path: string, source: Buffer | Readable): Promise<void> {
  if (Buffer.isBuffer(source)) return publish(to, path, Readable.from([source]))
  // A storage takes what is pushed to it, as sockets do; a file wants to be asked for more.
  const pushed = pipeline(source, new PassThrough(), () => {})
  await publish(to, path, pushed)
}

async function publish(to: StorageDriver, path: string, source: Readable): Promise<void> {
  const id = uploadPath(randomUUID())
  try {
    await to.append(id, 0, source, () => undefined, path)
    await to.publish(id, path)
  } catch (error) {
    await to.delete(id).catch(() => undefined) // the first error says more
    throw error
  }
}

function describeDamage(error: unknown): string {
  if (isDamage(error)) return 'damaged'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EIO') return 'unreadable'
  throw error
}
