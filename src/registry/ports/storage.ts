import type { Readable } from 'node:stream'
import type { Content } from '../../http/types.ts'

type OnChunk = (chunk: Buffer) => void

/**
 * Bytes under paths such as `docker/registry/v2/blobs/sha256/ab/abc…/data`. Every driver passes `storage/contract.ts` unchanged.
 * What a full disk or too many open files refuse is thrown with Node's error code (`ENOSPC`, `EMFILE`); `EAGAIN`: a store is away.
 */
export interface StorageDriver {
  /** Size of what lies there and when it was last written; undefined when nothing does. */
  stat(path: string): Promise<{ size: number; modifiedAt: Date } | undefined>
  /** Opens content for reading; the caller closes it. */
  open(path: string): Promise<Content | undefined>
  /**
   * Writes the source at `offset`, which is the present size (0 creates), handing each chunk to `onChunk` on the way, and gives
   * the new size. Memory stays bounded whatever the length: the driver takes the chunks over, `onChunk` may only look. When the
   * source breaks off, what arrived is kept before it throws. With `into`, the path it will be published to before the process
   * does anything else with it, the driver may write straight there, and then keeps nothing of a source that breaks off.
   */
  append(path: string, offset: number, source: Readable, onChunk: OnChunk, into?: string): Promise<number>
  /**
   * Moves content to its final path, replacing what lies there; once it resolves, a power cut cannot undo it. When it fails, the
   * content is given up: it may not be as whole as it reads.
   */
  publish(from: string, to: string): Promise<void>
  /** Removes the content, or everything below the path; removing nothing is no error. */
  delete(path: string): Promise<void>
  /** Names directly below a path, in no order; none where there is no folder. Symbolic links are left out: they lead elsewhere. */
  list(path: string): Promise<string[]>
  /** The bytes of a small file. @throws when it is not small */
  get(path: string): Promise<Buffer | undefined>
  /** Writes a small file as of a moment: whole or not at all when the process dies, but a power cut may undo it. */
  put(path: string, content: Uint8Array, modifiedAt: Date): Promise<void>
  /** Gives content a second path, unless something lies there. */
  alias(path: string, to: string): Promise<void>
  /** Removes what crashes left of content that was begun before the moment, where that is not seen by its path; gives how much. */
  sweep?(before: Date): Promise<number>
}
