import { writevSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { finished, type Readable } from 'node:stream'
import { PageCache } from './page-cache.ts'

/** Bytes that all uploads together may hold in memory, and the least and most of it one takes. */
const memory = 24 << 20
const least = 64 << 10
const most = 1 << 20
/** Chunks one upload may hold: a chunk of one byte costs memory like hundreds. */
const maxChunks = 1000
const worthFreeing = 4096
/** What Node keeps of a stream. */
const state = '_readableState'

type Receive = (file: FileHandle, offset: number, source: Readable, onChunk: (chunk: Buffer) => void) => Promise<number>

/**
 * Writes streams to files: chunks are gathered and written with one call, at once while the page cache takes them, else while
 * the next ones arrive; a stream is paused when its share of the memory is full. The more uploads run at once, the smaller the
 * share.
 */
export function createReceiver(): Receive {
  // One for all uploads: a disk that is behind is so for each of them, and may hold a writer up for a fifth of a second.
  const pageCache = new PageCache({ slowMs: 2, least: 32, most: 1024 })
  let active = 0

  return function receive(file, offset, source, onChunk) {
    active++
    return new Promise<number>((resolve, reject) => {
      let gathered: Buffer[] = []
      let bytes = 0
      let position = offset
      let writing = false
      let ended = false
      let failure: Error | undefined
      const share = () => Math.min(most, Math.max(least, memory / active))
      const isDue = () => bytes >= share() / 2 || gathered.length >= maxChunks / 2

      function settle(): void {
        active--
        stopListening()
        source.off('data', onData)
        if (failure) reject(failure)
        else resolve(position)
      }
      function fail(error: unknown): void {
        failure = error as Error
        ended = true
      }
      function onData(chunk: Buffer): void {
        planNothing(source)
        try {
          onChunk(chunk)
        } catch (error) {
          failure ??= error as Error
        }
        gathered.push(chunk)
        bytes += chunk.length
        if (isDue() && !writing) write()
        if (bytes >= share() || gathered.length >= maxChunks) source.pause()
      }
      function write(): void {
        if (!pageCache.mayAnswer()) return void flush()
        try {
          const written = pageCache.call(() => writevSync(file.fd, gathered, position))
          wrote(gathered, written)
        } catch (error) {
          fail(error)
          settle()
        }
      }
      /** Writes all that is gathered until the stream has ended and nothing is left. */
      async function flush(): Promise<void> {
        writing = true
        try {
          while (bytes > 0 && (ended || isDue())) {
            const chunks = gathered
            gathered = []
            wrote(chunks, (await file.writev(chunks, position)).bytesWritten)
            if (!ended) source.resume()
          }
        } catch (error) {
          fail(error)
        }
        writing = false
        if (ended) settle()
      }
      /** A disk that fills up may take a part of the chunks: the rest is gathered again, and writing that fails loudly. */
      function wrote(chunks: Buffer[], written: number): void {
        if (chunks === gathered) gathered = []
        const rest = lengthOf(chunks) === written ? undefined : Buffer.concat(chunks).subarray(written)
        if (rest) gathered.unshift(rest)
        else chunks.forEach(free)
        position += written
        bytes -= written
      }

      source.on('data', onData)
      const stopListening = finished(source, { writable: false }, (error) => {
        if (error) failure ??= error
        if (ended) return
        ended = true
        if (!writing) void flush()
      })
    })
  }
}

/**
 * After each chunk a stream plans to read more in the next tick, for those who wait for a full buffer. Ours flows, so that is
 * nothing but a twentieth of the work of an upload; a stream that believes to have planned already does not.
 */
function planNothing(source: Readable & { [state]?: { readingMore: boolean } }): void {
  if (source[state]) source[state].readingMore = true
}

/**
 * Gives the memory of a chunk back at once. Left to the garbage collector, a stream of gigabytes costs a collection every
 * few dozen megabytes and three times the memory.
 */
export function free(chunk: Buffer): void {
  if (chunk.length < worthFreeing) return // costs more than it gives
  if (chunk.buffer instanceof ArrayBuffer && chunk.byteLength === chunk.buffer.byteLength) chunk.buffer.transfer(0)
}

function lengthOf(chunks: Buffer[]): number {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  return length
}
