import { setTimeout } from 'node:timers/promises'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import { type Steps, sql } from '../sql/statement.ts'
import type { Connections } from './connections.ts'
import { dialect } from './dialect.ts'

/** How long later it is looked again, at first and at most, whether readers can see an event. */
const [firstMs, lastMs] = [10, 1000]

/**
 * The one place that hears of events. It tells of them when they are committed; when another transaction keeps readers from
 * seeing them then (see `dialect.settled`), it tells again, of none, once they can.
 */
export function createHearing({ read }: Connections, onEvents: (events: RegistryEvent[]) => void) {
  const heard: RegistryEvent[] = []
  let isTelling = false
  let isLate = false
  const closing = new AbortController()

  async function tellAll(): Promise<void> {
    for (let ms = firstMs; (heard.length > 0 || isLate) && !closing.signal.aborted;) {
      const isSeen = await read(isSettled()).catch(() => false)
      const wasLate = isLate
      isLate = !isSeen
      if (heard.length > 0 || (wasLate && isSeen)) onEvents(heard.splice(0))
      if (isSeen) continue
      await setTimeout(ms, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      ms = Math.min(ms * 2, lastMs)
    }
    isTelling = false
  }

  return {
    tell(events: RegistryEvent[]): void {
      heard.push(...events)
      if (isTelling) return
      isTelling = true
      void tellAll()
    },
    close(): void {
      closing.abort()
      if (heard.length > 0) onEvents(heard.splice(0))
    },
  }
}

/** Whether readers can see the newest event, and so all. */
function* isSettled(): Steps<boolean> {
  const [row] = yield sql(`select ${dialect.settled} as settled from event order by sequence desc limit 1`)
  return row?.settled !== false
}
