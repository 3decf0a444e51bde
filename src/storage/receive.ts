import type { FileHandle } from 'node:fs/promises'
import { finished, type Readable } from 'node:stream'

/** Bytes that all uploads together may hold in memory, and the least and most of it one takes. */
const memory = 24 << 20
const least = 64 << 10
const most = 1 << 20
/** Chunks one upload may hold: a chunk of one byte costs memory like hundreds. */
const maxChunks = 1000
const worthFreeing = 4096

type Receive = (file: FileHandle, offset: number, source: Readable, onChunk: (chunk: Buffer) => void) => Promise<number>

/**
 * Writes streams to files: chunks are gathered and written with one call while the next ones arrive, and a stream is paused
 * when its share of the memory is full. The more uploads run at once, the smaller the share.
 */
export function createReceiver(): Receive {
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
      function onData(chunk: Buffer): void {
        try {
          onChunk(chunk)
        } catch (error) {
          failure ??= error as Error
        }
        gathered.push(chunk)
        bytes += chunk.length
        if (isDue() && !writing) void flush()
        if (bytes >= share() || gathered.length >= maxChunks) source.pause()
      }
      /** Writes all that is gathered until the stream has ended and nothing is left. */
      async function flush(): Promise<void> {
        writing = true
        try {
          while (bytes > 0 && (ended || isDue())) {
            const [chunks, length] = [gathered, bytes]
            gathered = []
            bytes = 0
            await writeAll(file, chunks, length, position)
            chunks.forEach(free)
            position += length
            if (!ended) source.resume()
          }
        } catch (error) {
          failure = error as Error
          ended = true
        }
        writing = false
        if (ended) settle()
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
 * Gives the memory of a chunk back at once. Left to the garbage collector, a stream of gigabytes costs a collection every
 * few dozen megabytes and three times the memory.
 */
function free(chunk: Buffer): void {
  if (chunk.length < worthFreeing) return // costs more than it gives
  if (chunk.buffer instanceof ArrayBuffer && chunk.byteLength === chunk.buffer.byteLength) chunk.buffer.transfer(0)
}

/** A disk that fills up may take a part of the chunks: the rest must fail loudly, not be left out. */
async function writeAll(file: FileHandle, chunks: Buffer[], length: number, position: number): Promise<void> {
  const { bytesWritten } = await file.writev(chunks, position)
  if (bytesWritten === length) return
  const rest = Buffer.concat(chunks).subarray(bytesWritten)
  for (let done = 0; done < rest.length;) {
    done += (await file.write(rest, done, rest.length - done, position + bytesWritten + done)).bytesWritten
  }
}
