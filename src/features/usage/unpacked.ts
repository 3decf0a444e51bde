import { once } from 'node:events'
import { Writable, type Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import type { Content } from '../../http/types.ts'
import { tooLarge, unreadable } from '../../metadata/size-facts.ts'
import { createFrameCutter } from './zstd-frames.ts'

/** More is no layer that anybody could use: a small file that unpacks to endless zeros shall not keep us busy. */
const mostBytes = 50e9
const mostRatio = 200
const alwaysFine = 1e9

/** After each piece we rest for so many times as long as it took: a quarter of one processor at most. */
const restRatio = 3

/**
 * How many bytes content has when it is unpacked, if it is gzip or zstd, by reading all of it; its size if it is neither;
 * `tooLarge` or `unreadable` where that cannot be said.
 * @throws Error where it cannot be read, or `signal` aborts it
 */
export async function unpackedSize(content: Content, signal: AbortSignal): Promise<number> {
  let unpacker: Unpacker | undefined
  let packed = 0
  let start = Buffer.alloc(0)
  const outcome = () => (unpacker ? unpacker.outcome() : undefined)
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const begun = performance.now()
      packed += chunk.length
      if (!unpacker) {
        start = Buffer.concat([start, chunk]) // four bytes say what it is
        if (start.length < 4) return done()
        unpacker = unpackerFor(start)
        if (!unpacker) return void sink.destroy()
      }
      unpacker.take(packed === start.length ? start : chunk).then(() => {
        if (
          outcome() === undefined &&
          unpacker!.bytes() > Math.min(mostBytes, Math.max(alwaysFine, packed * mostRatio))
        )
          unpacker!.end(tooLarge)
        if (outcome() !== undefined) return void sink.destroy()
        const rest = restRatio * (performance.now() - begun)
        setTimeout(done, rest, signal.aborted ? new Error('stopped') : null)
      }, done)
    },
  })
  sink.on('error', () => undefined) // asked for by `signal` alone
  if (content.size > 0) await content.sendTo(sink, { first: 0, last: content.size - 1 })
  signal.throwIfAborted()
  return unpacker ? unpacker.finish() : content.size
}

type Unpacker = ReturnType<typeof createUnpacker>

function unpackerFor(start: Buffer): Unpacker | undefined {
  const [first, second, third, fourth] = start
  if (first === 0x1f && second === 0x8b) return createUnpacker(createGunzip({ chunkSize }), (chunk) => [chunk])
  const isSkippable = first! >> 4 === 5 && second === 0x2a && third === 0x4d && fourth === 0x18
  if (isSkippable || (first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd))
    return createUnpacker(createZstdDecompress({ chunkSize }), createFrameCutter())
  return undefined
}

const chunkSize = 256 << 10

/** Counts what comes out, and keeps none of it. */
function createUnpacker(stream: Transform, cut: (chunk: Buffer) => Buffer[]) {
  let bytes = 0
  let outcome: number | undefined
  stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
  stream.on('error', () => end(unreadable))

  function end(with_: number): void {
    outcome ??= with_
    stream.destroy()
  }

  async function take(chunk: Buffer): Promise<void> {
    try {
      for (const piece of cut(chunk)) {
        if (outcome !== undefined) return
        await new Promise<void>((resolve) => {
          stream.once('close', resolve)
          stream.write(piece, () => {
            stream.off('close', resolve)
            resolve()
          })
        })
      }
    } catch {
      end(unreadable)
    }
  }

  return {
    take,
    end,
    bytes: () => bytes,
    outcome: () => outcome,
    async finish(): Promise<number> {
      if (outcome === undefined) {
        const closed = once(stream, 'close').catch(() => undefined)
        stream.end()
        await closed
      }
      return outcome ?? bytes
    },
  }
}
