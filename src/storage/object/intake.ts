import { finished, type Readable } from 'node:stream'

/** So many chunks in a row below this size become one: a chunk of one byte costs memory like hundreds. */
const maxSmall = 256
const smallBytes = 4096

/** What comes in from a source, held until it is taken. */
export interface Intake {
  /** Bytes that are held. */
  bytes(): number
  hasEnded(): boolean
  /** Why the source broke off. */
  failure(): Error | undefined
  /** Resolves when so many bytes are held, the source has ended, or the time is over; the source rests in between. */
  until(bytes: number, ms?: number): Promise<void>
  /** Takes exactly so many bytes, or all there are. */
  take(bytes: number): Buffer[]
  /** Takes no more from the source. */
  close(): void
}

/** Listens to a source and hands each chunk to `onChunk`. A chunk that `onChunk` refuses breaks the source off. */
export function createIntake(source: Readable, onChunk: (chunk: Buffer) => void): Intake {
  let chunks: Buffer[] = []
  let held = 0
  let wanted = 0
  let small = 0
  let ended = false
  let failure: Error | undefined
  let wake = () => {}

  function onData(chunk: Buffer): void {
    try {
      onChunk(chunk)
    } catch (error) {
      failure ??= error as Error
    }
    chunks.push(chunk)
    held += chunk.length
    small = chunk.length < smallBytes ? small + 1 : 0
    if (small === maxSmall) {
      chunks.push(Buffer.concat(chunks.splice(-maxSmall)))
      small = 0
    }
    if (held < wanted && !failure) return
    source.pause()
    wake()
  }
  source.pause()
  source.on('data', onData)
  const stopListening = finished(source, { writable: false }, (error) => {
    if (error) failure ??= error
    ended = true
    wake()
  })

  return {
    bytes: () => held,
    hasEnded: () => ended || failure !== undefined,
    failure: () => failure,
    async until(bytes, ms) {
      if (held >= bytes || ended || failure) return
      wanted = bytes
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(resolve, ms)
        wake = () => (clearTimeout(timer), resolve())
        source.resume()
      })
      source.pause()
    },
    take(bytes) {
      let missing = Math.min(bytes, held)
      held -= missing
      let count = 0
      while (missing > 0 && chunks[count]!.length <= missing) missing -= chunks[count++]!.length
      const taken = chunks.slice(0, count)
      chunks = chunks.slice(count)
      small = 0
      if (missing > 0) {
        // Copied, not shared: the memory of a chunk is given back as a whole.
        taken.push(Buffer.from(chunks[0]!.subarray(0, missing)))
        chunks[0] = Buffer.from(chunks[0]!.subarray(missing))
      }
      return taken
    },
    close() {
      stopListening()
      source.off('data', onData)
    },
  }
}
