import type { Readable } from 'node:stream'
import type { Content } from '../../http/types.ts'

/**
 * Bytes under paths such as `docker/registry/v2/blobs/sha256/ab/abc…/data`. Every driver passes `storage/contract.ts` unchanged.
 * What a full disk or too many open files refuse is thrown with Node's error code (`ENOSPC`, `EMFILE`).
 */
export interface StorageDriver {
  /** Size of what lies there; undefined when nothing does. */
  stat(path: string): Promise<{ size: number } | undefined>
  /** Opens content for reading; the caller closes it. */
  open(path: string): Promise<Content | undefined>
  /**
   * Writes the source at `offset`, which is the present size (0 creates), handing each chunk to `onChunk` on the way, and gives
   * the new size. Memory stays bounded whatever the length: the driver takes the chunks over, `onChunk` may only look. When the source breaks off, what arrived is kept before it throws.
   */
  append(path: string, offset: number, source: Readable, onChunk: (chunk: Buffer) => void): Promise<number>
  /**
   * Moves content to its final path, replacing what lies there; once it resolves, a power cut cannot undo it. When it fails, the
   * content is given up: it may not be as whole as it reads.
   */
  publish(from: string, to: string): Promise<void>
  /** Removes the content, or everything below the path; removing nothing is no error. */
  delete(path: string): Promise<void>
  /** Names directly below a path, with the moment each was last written. */
  list(path: string): Promise<{ name: string; modifiedAt: Date }[]>
}
