import type { Readable, Writable } from 'node:stream'
import type { ByteRange, Content } from '../../http/types.ts'
import { type ObjectStore, StoreError } from './store.ts'

interface Source {
  store: ObjectStore
  key: string
  size: number
  etag: string
  /** The stream of all bytes, if it is open already. */
  body?: Readable
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

  async function openAt(first: number, last: number): Promise<Readable> {
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
          body?.destroy()
          breaks = position > before ? 1 : breaks + 1
          if (breaks > maxBreaks) throw error
        }
        body = undefined
      }
      body?.destroy()
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
 * Moves bytes until all of the range came and the sink has taken them.
 * @throws when the source ends before, or is silent too long while nobody holds it up
 */
function pump(body: Readable, sink: Writable, { first, last }: ByteRange, { idleMs, moved }: Progress): Promise<void> {
  let missing = last + 1 - first
  let [isHeldUp, isTaken, hasEnded] = [false, false, false]
  return new Promise((resolve, reject) => {
    const silent = setTimeout(onSilence, idleMs)
    function onSilence(): void {
      if (isHeldUp || missing === 0) silent.refresh()
      else done(new StoreError(`the store is silent for ${idleMs / 1000} s`))
    }
    function onDrain(): void {
      isHeldUp = false
      silent.refresh()
      body.resume()
    }
    function onData(chunk: Buffer): void {
      silent.refresh()
      if (missing === 0) return void body.destroy() // more than was asked for
      const part = chunk.length > missing ? chunk.subarray(0, missing) : chunk
      missing -= part.length
      moved(part.length)
      const isLast = missing === 0
      if (sink.write(part, isLast ? () => ((isTaken = true), settle()) : undefined) || isLast) return
      isHeldUp = true
      body.pause()
    }
    function onEnd(): void {
      hasEnded = true
      if (missing > 0) done(new StoreError(`the store sent ${missing} bytes too few`))
      else settle()
    }
    const onError = (cause: Error) =>
      missing > 0 && done(new StoreError(`the store broke off: ${cause.message}`, { cause }))
    const onGone = () => done() // who reads knows that the sink is gone
    const settle = () => isTaken && hasEnded && done()
    function done(error?: Error): void {
      clearTimeout(silent)
      sink.off('drain', onDrain).off('close', onGone)
      body.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError)
      body.on('error', () => undefined)
      if (!hasEnded) body.destroy()
      if (error) reject(error)
      else resolve()
    }
    if (sink.destroyed) return done()
    sink.on('drain', onDrain).on('close', onGone)
    body.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError)
  })
}
