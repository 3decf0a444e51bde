import type { Session, Sessions } from '../registry/ports/sessions.ts'

/** What is remembered of uploads nobody writes to; of those that nobody goes on with the oldest are forgotten. */
const maxLeft = 10_000

/** The upload sessions that requests of this process write to. */
export function createSessions(): Sessions {
  const entered = new Set<string>()
  const left = new Map<string, Session>()

  return {
    async enter(id) {
      if (entered.has(id)) return undefined
      entered.add(id)
      const session = left.get(id) ?? {}
      left.delete(id)
      return session
    },
    async leave(id, { hashed }) {
      entered.delete(id)
      if (!hashed) return
      left.set(id, { hashed })
      if (left.size > maxLeft) left.delete(left.keys().next().value!)
    },
  }
}
