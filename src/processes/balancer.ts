import type { Socket } from 'node:net'
import { Lost } from './calls.ts'

/** Takes a connection over; resolves when it has it. @throws Lost when it is gone before */
export type Taker = (socket: Socket) => Promise<void>

/** Connections that wait while nobody can take them; who comes then is refused. */
const maxWaiting = 4096

/**
 * Hands connections out by turns. Each taker is given the next one when it has the last, so one that is busy, or about to die, holds
 * up only that.
 */
export function createBalancer() {
  const waiting: Socket[] = []
  const free: Taker[] = []
  const takers = new Set<Taker>()

  function handOut(): void {
    while (waiting.length > 0 && free.length > 0) {
      const socket = waiting.shift()!
      if (socket.destroyed) continue
      void give(free.shift()!, socket)
    }
  }
  async function give(taker: Taker, socket: Socket): Promise<void> {
    try {
      await taker(socket)
      socket.destroy() // ours; the taker has its own of the same connection
    } catch (error) {
      if (error instanceof Lost) waiting.unshift(socket) // nobody has read of it
      else socket.destroy()
    }
    if (takers.has(taker)) free.push(taker)
    handOut()
  }

  return {
    add(taker: Taker): void {
      takers.add(taker)
      free.push(taker)
      handOut()
    },
    remove(taker: Taker): void {
      takers.delete(taker)
      if (free.includes(taker)) free.splice(free.indexOf(taker), 1)
    },
    give(socket: Socket): void {
      socket.on('error', () => undefined) // of who hangs up early
      if (waiting.push(socket) > maxWaiting) waiting.shift()!.destroy()
      handOut()
    },
    /** Resolves when every connection that came has been taken. */
    async settle(): Promise<void> {
      while (takers.size > 0 && (waiting.length > 0 || free.length < takers.size))
        await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
