import type { Readable } from 'node:stream'
import { createIntake } from './intake.ts'
import { createPartWriter, type PartWriter } from './parts.ts'
import { nothing, receive, type Rest } from './receive.ts'
import type { SessionDeps } from './session.ts'

interface Direct {
  into: string
  parts: PartWriter
  rest: Rest
  /** The object with the rest, when it had to make room. */
  spilled: string | undefined
}

/**
 * Content whose final path is known at its first byte and that is published by the same request: its parts go to where they stay,
 * and are seen there once they are completed. Nothing of it outlives the process, and nothing is copied.
 */
export function createDirect({ store, pool, partSize, keyFor, read }: Omit<SessionDeps, 'states'>) {
  const under = new Map<string, Direct>()

  async function giveUp({ parts, rest, spilled }: Pick<Direct, 'parts' | 'rest' | 'spilled'>): Promise<void> {
    rest.giveBack()
    await parts.settled().catch(() => undefined) // on its way no longer
    const upload = parts.stored()?.upload
    if (upload) await store.abort(upload)
    if (spilled !== undefined) await store.delete([spilled])
  }

  return {
    has: (path: string) => under.has(path),
    sizeOf(path: string): number | undefined {
      const found = under.get(path)
      return found && (found.parts.stored()?.size ?? 0) + found.rest.size
    },

    /** Receives all of it; nothing stays when the source breaks off. */
    async append(path: string, into: string, source: Readable, onChunk: (chunk: Buffer) => void): Promise<number> {
      const intake = createIntake(source, onChunk)
      const parts = createPartWriter({ store, partSize, key: into, stored: undefined, reserve: async () => {} })
      let rest: Rest = nothing
      let spilled: string | undefined
      const load = () => read(spilled!)
      const save = (chunks: Buffer[]) => store.put((spilled ??= keyFor(path)), chunks)
      try {
        rest = await receive(intake, parts, rest, { pool, load, save })
        await parts.settled()
        if (intake.failure()) throw intake.failure()
      } catch (error) {
        await giveUp({ parts, rest, spilled }).catch(() => undefined) // the first error says more; the rest is swept later
        throw error
      } finally {
        intake.close()
      }
      under.set(path, { into, parts, rest, spilled })
      return (parts.stored()?.size ?? 0) + rest.size
    },

    /** Makes it seen at its final path. */
    async publish(path: string, to: string): Promise<void> {
      const found = under.get(path)!
      under.delete(path)
      const { into, parts, rest, spilled } = found
      try {
        if (into !== to) throw new Error(`Cannot publish ${path} to ${to}: it was received for ${into}`)
        if (!parts.stored()) {
          if (rest.chunks) await store.put(to, rest.chunks)
          else await store.copy(spilled!, to, rest.size)
        } else {
          if (!rest.chunks) await parts.addObject(spilled!, rest.size)
          else if (rest.size > 0) await parts.send(rest.chunks, rest.size, rest.giveBack)
          await parts.settled()
          const { upload, parts: all, size } = parts.stored()!
          await store.complete(upload, all, size)
        }
      } catch (error) {
        await giveUp(found).catch(() => undefined) // the first error says more; what is left is swept later
        throw error
      }
      rest.giveBack()
      if (spilled !== undefined) await store.delete([spilled]).catch(() => undefined) // swept later
    },

    async delete(path: string): Promise<void> {
      const found = under.get(path)
      under.delete(path)
      if (found) await giveUp(found)
    },
  }
}
