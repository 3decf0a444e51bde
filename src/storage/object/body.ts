import type { IncomingMessage } from 'node:http'
import { StoreError } from './store.ts'

/** How long a store may keep silent before it counts as gone. */
export const usualIdleMs = 15_000

/** The bytes of an object on their way from the store. */
export interface ObjectBody {
  /**
   * The next bytes, which are good until the next are asked for; undefined when all have come.
   * @throws StoreError when the store breaks off, or is silent for longer than this
   */
  next(idleMs: number): Promise<Buffer | undefined>
  /** Nothing more is wanted; again does no harm. */
  destroy(): void
}

/** The body of an answer of Node's client. */
export function bodyOf(answer: IncomingMessage): ObjectBody {
  answer.socket.setTimeout(0) // who reads it may be slow, and watches by itself
  const chunks = (answer as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  return {
    async next(idleMs) {
      const late = setTimeout(() => answer.destroy(silence(idleMs)), idleMs)
      try {
        const { value, done } = await chunks.next()
        return done ? undefined : (value as Buffer)
      } catch (error) {
        if (error instanceof StoreError) throw error
        throw new StoreError(`the store broke off: ${(error as Error).message}`, { cause: error })
      } finally {
        clearTimeout(late)
      }
    },
    destroy: () => void answer.destroy(),
  }
}

export function silence(idleMs: number): StoreError {
  return new StoreError(`the store is silent for ${idleMs / 1000} s`)
}
