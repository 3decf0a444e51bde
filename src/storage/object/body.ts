import type { IncomingMessage } from 'node:http'
import { type ObjectBody, StoreError } from './store.ts'

/** How long a store may keep silent before it counts as gone. */
export const usualIdleMs = 15_000

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
