import type { Readable } from 'node:stream'
import type { ByteRange } from '../http/types.ts'
import { type Algorithm, algorithmOf, createDigester, type Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { blobPath, uploadPath } from './paths.ts'
import type { Actor } from './ports/events.ts'
import type { Upload } from './ports/metadata.ts'
import type { RegistryPorts } from './ports/ports.ts'
import type { Session } from './ports/sessions.ts'
import { storedDigest } from './stored-digest.ts'

/** The bytes that follow: their declared length (undefined: streamed) and place. */
export interface Chunk {
  source: Readable
  length: number | undefined
  range: ByteRange | undefined
}

/** An upload that one request holds. */
type Held = Upload & Session

/** Blobs on their way in: bytes go to a file of their own and become a blob only when their digest is proven. */
export function createUploads({ storage, metadata, sessions, ids }: RegistryPorts) {
  /** end-4a: opens an upload session that outlives broken connections and restarts. */
  async function start(repository: string, { name }: Actor, algorithm: Algorithm): Promise<Upload> {
    const upload = { id: ids.upload(), repository, algorithm, owner: name }
    await metadata.uploads.create(upload)
    return upload
  }

  /** @throws OciError BLOB_UPLOAD_UNKNOWN, also for a session of another repository or principal */
  async function find(repository: string, id: string, { name }: Actor): Promise<Upload> {
    const upload = await metadata.uploads.find(id)
    if (upload?.repository !== repository || (upload.owner !== '' && upload.owner !== name))
      throw new OciError('BLOB_UPLOAD_UNKNOWN')
    return upload
  }

  /** end-13: how many bytes arrived. */
  async function sizeOf(upload: Upload): Promise<number> {
    return (await storage.stat(uploadPath(upload.id)))?.size ?? 0
  }

  /** end-5: appends a chunk and gives the new size. @throws OciError RANGE_INVALID, SIZE_INVALID */
  async function append(upload: Upload, chunk: Chunk): Promise<number> {
    return alone(upload, (held) => receive(held, chunk))
  }

  /** end-6: appends the last chunk, if any, and makes the whole a blob. @throws OciError DIGEST_INVALID, which ends the session */
  async function finish(upload: Upload, digest: Digest, chunk: Chunk, actor: Actor): Promise<void> {
    await alone(upload, (held) => close(held, digest, chunk, actor))
  }

  async function close(upload: Held, digest: Digest, chunk: Chunk, actor: Actor): Promise<void> {
    const size = await receive(upload, chunk, digest)
    if ((await digestOf(upload, size, algorithmOf(digest))) !== digest) {
      await end(upload)
      throw new OciError('DIGEST_INVALID', { detail: { digest } })
    }
    upload.hashed = undefined
    // Also over a blob that is there: these bytes are proven, those may have been damaged since.
    await storage.publish(uploadPath(upload.id), blobPath(digest))
    await metadata.blobs.commit({ repository: upload.repository, digest, size, upload: upload.id }, actor)
  }

  /** end-4b: a blob in one request; nothing of it stays when it fails. */
  async function push(repository: string, digest: Digest, chunk: Chunk, actor: Actor): Promise<void> {
    const upload = { id: ids.upload(), repository, algorithm: algorithmOf(digest), owner: actor.name }
    try {
      await close(upload, digest, chunk, actor) // nobody else knows of it
    } catch (error) {
      await storage.delete(uploadPath(upload.id))
      throw error
    }
  }

  /** end-14: ends the session and removes its bytes. @throws OciError RANGE_INVALID while another request writes to it */
  async function cancel(upload: Upload): Promise<void> {
    await alone(upload, end)
  }

  async function end(upload: Held): Promise<void> {
    upload.hashed = undefined
    await storage.delete(uploadPath(upload.id)) // first: on a full disk the database may need its space
    await metadata.uploads.delete(upload.id)
  }

  /** Serialises a session: of two requests at once the later one is told where the session stands. */
  async function alone<T>(upload: Upload, work: (held: Held) => Promise<T>): Promise<T> {
    const session = await sessions.enter(upload.id)
    if (!session) throw outOfOrder(upload, await sizeOf(upload), 'another request is writing to this upload')
    const held = { ...upload, ...session }
    try {
      return await work(held)
    } finally {
      await sessions.leave(upload.id, held)
    }
  }

  async function receive(upload: Held, chunk: Chunk, closing?: Digest): Promise<number> {
    const { source, length, range } = chunk
    const path = uploadPath(upload.id)
    const stored = await storage.stat(path)
    const offset = stored?.size ?? 0
    if (range && range.first !== offset) throw outOfOrder(upload, offset, `this upload continues at byte ${offset}`)
    const expected = range && range.last - range.first + 1
    if (expected !== undefined && length !== undefined && length !== expected) throw new OciError('SIZE_INVALID')
    if (length === 0 && stored) return offset
    const digester = digesterAt(upload, offset, closing)
    upload.hashed = undefined
    try {
      const into = closing && blobPath(closing)
      const size = await storage.append(path, offset, source, (piece) => digester?.update?.(piece), into)
      if (digester) upload.hashed = { ...digester, offset: size }
      if (expected === undefined || size - offset === expected) return size
    } catch (error) {
      if (isOutOfSpace(error)) await end(upload) // the space is needed, and the client cannot go on anyway
      throw error
    }
    await end(upload)
    throw new OciError('SIZE_INVALID')
  }

  /** Goes on hashing where the last chunk ended; undefined when that is not known here (after a restart or a broken chunk). */
  function digesterAt({ algorithm, hashed }: Held, offset: number, closing: Digest | undefined): Held['hashed'] {
    if (offset === 0) return { offset, ...createDigester(closing ? algorithmOf(closing) : algorithm) }
    return hashed?.offset === offset && hashed.update ? hashed : undefined
  }

  /** The digest of all bytes: the one so far where it covers them, else by reading them once more. */
  async function digestOf({ id, hashed }: Held, size: number, algorithm: Algorithm): Promise<Digest | undefined> {
    const digest = hashed?.offset === size ? hashed.digest() : undefined
    return digest && algorithmOf(digest) === algorithm ? digest : storedDigest(storage, uploadPath(id), algorithm)
  }

  return { start, find, sizeOf, append, finish, push, cancel }
}

/** Where a session stands, as every answer about it says: `0-<last byte>`, and `0-0` for nothing as registry:2 has it. */
export function uploadHeaders(upload: Upload, size: number): Record<string, string> {
  return {
    // Many scripts write "$location&digest=…", because registry:2 always sends a query.
    Location: `/v2/${upload.repository}/blobs/uploads/${upload.id}?_state=${size}`,
    Range: `0-${Math.max(0, size - 1)}`,
    'Docker-Upload-UUID': upload.id,
  }
}

function outOfOrder(upload: Upload, size: number, message: string): OciError {
  return new OciError('RANGE_INVALID', { message, headers: uploadHeaders(upload, size) })
}

function isOutOfSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
