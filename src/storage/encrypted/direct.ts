import type { Readable } from 'node:stream'
import { createIntake } from '../object/intake.ts'
import { makeHeader } from './format.ts'
import type { StagingDeps } from './staging.ts'
import { createSealingStream } from './stream.ts'

const ignore = (): void => undefined

/** Content that is published by the request that brings it: it is encrypted to its end at once, and nothing of it is remembered. */
export function createDirect({ inner, keyring, dataFor }: Omit<StagingDeps, 'states'>) {
  const under = new Map<string, string>()

  return {
    has: (path: string) => under.has(path),

    /** Receives all of it, for this path of the storage; nothing stays when the source breaks off. */
    async append(path: string, into: string, source: Readable, onChunk: (chunk: Buffer) => void): Promise<number> {
      let size = 0
      const intake = createIntake(source, (chunk) => {
        size += chunk.length
        onChunk(chunk)
      })
      const data = dataFor(path)
      const { header, dataKey } = makeHeader(keyring.current())
      const held = Buffer.alloc(0)
      const { stream } = createSealingStream({ intake, dataKey, index: 0, header, held, isWhole: true })
      try {
        await inner.append(data, 0, stream, ignore, into)
      } catch (error) {
        stream.destroy()
        await inner.delete(data).catch(ignore) // the first error says more; the rest is swept later
        throw error
      } finally {
        intake.close()
      }
      under.set(path, data)
      return size
    },

    async publish(path: string, to: string): Promise<void> {
      const data = under.get(path)!
      under.delete(path)
      await inner.publish(data, to)
    },

    async delete(path: string): Promise<void> {
      const data = under.get(path)
      under.delete(path)
      if (data !== undefined) await inner.delete(data)
    },
  }
}
