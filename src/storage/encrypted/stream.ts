import type { KeyObject } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Intake } from '../object/intake.ts'
import { chunkSize, seal } from './format.ts'

interface Options {
  intake: Intake
  dataKey: KeyObject
  /** The number of the first chunk. */
  index: number
  /** What comes before everything. */
  header: Buffer | undefined
  /** Plain bytes that come before the intake's. */
  held: Buffer
  /** Whether the end of the intake is the end of the content; else what is left is held, and a broken intake just ends. */
  isWhole: boolean
}

/** Encrypts what comes in, chunk by chunk. The last chunk is the one after which nothing comes, so one is held until then. */
export function createSealingStream({ intake, dataKey, header, isWhole, ...begun }: Options) {
  let { index, held } = begun

  async function* chunks(): AsyncGenerator<Buffer> {
    if (header) yield header
    do {
      await intake.until(2 * chunkSize)
      while (held.length + intake.bytes() > chunkSize) {
        const pieces = [held, ...intake.take(chunkSize - held.length)]
        held = Buffer.alloc(0)
        yield* seal(pieces, { dataKey, index: index++, mark: 'middle' })
      }
    } while (!intake.hasEnded())
    held = Buffer.concat([held, ...intake.take(chunkSize)])
    if (!isWhole) return
    const failure = intake.failure()
    if (failure) throw failure
    yield* seal([held], { dataKey, index, mark: 'last' })
  }

  return {
    stream: Readable.from(chunks(), { objectMode: false, highWaterMark: 4 * chunkSize }),
    /** Plain bytes after the last chunk, and its number. */
    rest: () => ({ held, index }),
  }
}
