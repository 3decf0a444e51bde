import { readSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import type { ByteRange, Content } from '../http/types.ts'
import { PageCache } from './page-cache.ts'

/** Large enough to make few system calls, small enough to stay in the processor's cache: measured best of 64 KiB to 1 MiB. */
const bufferSize = 512 << 10
/** So many downloads get a large buffer, the others a small one: memory stays bounded when hundreds come at once. */
const maxLarge = 64
const smallBufferSize = 64 << 10
/** Buffers kept for the next download. */
const maxPooled = 8
const trust = { slowMs: 0.5, least: 32, most: 32 }

/**
 * Sends files through reused buffers, one for each download. Node has no sendfile; reading in the event loop is the cheapest
 * way there is while the page cache answers, and a slow disk is noticed after one read.
 */
export function createFileOpener(): (file: FileHandle) => Promise<Content> {
  const pool: Buffer[] = [] // the one used last is handed out first: it is still in the cache
  let active = 0

  async function send(file: FileHandle, sink: Writable, { first, last }: ByteRange): Promise<void> {
    const buffer = pool.pop() ?? Buffer.allocUnsafeSlow(active < maxLarge ? bufferSize : smallBufferSize)
    active++
    try {
      await sendThrough(buffer, file, sink, { first, last })
      // Whose sink went away may still be read from: such a buffer is not used again.
      if (pool.length < maxPooled && buffer.length === bufferSize && !sink.destroyed) pool.push(buffer)
    } finally {
      active--
    }
  }

  return async (file) => {
    const { size } = await file.stat()
    return { size, close: () => file.close(), sendTo: (sink, range) => send(file, sink, range) }
  }
}

async function sendThrough(
  buffer: Buffer,
  file: FileHandle,
  sink: Writable,
  { first, last }: ByteRange,
): Promise<void> {
  const pageCache = new PageCache(trust)
  for (let position = first; position <= last && !sink.destroyed;) {
    const wanted = Math.min(buffer.length, last + 1 - position)
    const length = pageCache.mayAnswer()
      ? pageCache.call(() => readSync(file.fd, buffer, 0, wanted, position))
      : (await file.read(buffer, 0, wanted, position)).bytesRead
    if (length === 0) throw new Error(`Cannot send file: it ends at byte ${position}, expected ${last + 1}`)
    position += length
    await write(sink, length === buffer.length ? buffer : buffer.subarray(0, length))
  }
}

/** Resolves when the chunk has left our memory, or the sink is gone. */
export function write(sink: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      sink.off('close', done)
      resolve()
    }
    sink.once('close', done) // an answer whose socket just closed keeps the chunk and never calls back
    sink.write(chunk, done)
  })
}
