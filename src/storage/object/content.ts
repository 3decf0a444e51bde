import type { Writable } from 'node:stream'
import type { ByteRange, Content } from '../../http/types.ts'
import { write } from '../file-content.ts'
import { type ObjectBody, type ObjectStore, StoreError } from './store.ts'

interface Source {
  store: ObjectStore
  key: string
  size: number
  etag: string
  /** All bytes, if they are on their way already. */
  body?: ObjectBody
  location?: string
  /** How long the store may keep silent. */
  idleMs: number
}

/** A store that breaks off so often without a byte in between is given up. */
const maxBreaks = 3

/**
 * The bytes of an object. A stream that breaks off or falls silent is gone on with where it ended, as long as the object is the
 * same one.
 */
export function createContent({ store, key, size, etag, idleMs, ...source }: Source): Content {
  let whole = source.body

  async function openAt(first: number, last: number): Promise<ObjectBody> {
    const found = await store.get(key, { first, last, etag })
    if (!found) throw new StoreError(`${key} is gone from the store`)
    if (found.etag === etag) return found.body
    found.body.destroy()
    throw new StoreError(`${key} was replaced while it was read`)
  }

  return {
    size,
    ...(source.location !== undefined && { location: source.location }),
    async sendTo(sink, { first, last }) {
      if (last >= size) throw new Error(`Cannot send ${key}: it ends at byte ${size}, expected ${last + 1}`)
      let body = first === 0 && last === size - 1 ? whole : void whole?.destroy()
      whole = undefined
      let breaks = 0
      for (let position = first; position <= last && !sink.destroyed;) {
        const before = position
        try {
          body ??= await openAt(position, last)
          await pump(body, sink, { first: position, last }, { idleMs, moved: (bytes) => void (position += bytes) })
        } catch (error) {
          breaks = position > before ? 1 : breaks + 1
          if (breaks > maxBreaks) throw error
        } finally {
          body?.destroy()
          body = undefined
        }
      }
    },
    async close() {
      whole?.destroy()
    },
  }
}

/** Bytes that are in memory. */
export function contentOf(bytes: Buffer): Content {
  return {
    size: bytes.length,
    async sendTo(sink, { first, last }) {
      if (last >= bytes.length) throw new Error(`Cannot send content: it ends at byte ${bytes.length}`)
      await new Promise<void>((resolve) => sink.write(bytes.subarray(first, last + 1), () => resolve()))
    },
    close: async () => {},
  }
}

interface Progress {
  idleMs: number
  moved(bytes: number): void
}

/**
 * Moves bytes until all of the range came and the sink has taken them, or is gone.
 * @throws StoreError when the source ends before, or is silent too long
 */
async function pump(body: ObjectBody, sink: Writable, { first, last }: ByteRange, progress: Progress): Promise<void> {
  for (let missing = last + 1 - first; missing > 0 && !sink.destroyed;) {
    const chunk = await body.next(progress.idleMs)
    if (!chunk) throw new StoreError(`the store sent ${missing} bytes too few`)
    const part = chunk.length > missing ? chunk.subarray(0, missing) : chunk
    await write(sink, part)
    missing -= part.length
    progress.moved(part.length)
    // To its end, so that the connection can be used again. Whose sink went away may still be read from.
    if (missing === 0 && !sink.destroyed) await body.next(progress.idleMs)
  }
}
