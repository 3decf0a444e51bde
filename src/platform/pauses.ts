interface Count {
  failures: number
  /** Until then nobody is let try. */
  until: number
  last: number
}

/** What is counted, and when it leads to pauses. */
export interface Patience {
  name: string
  /** So many failures cost nothing. */
  free: number
  /** The longest pause. */
  maxMs: number
}

/** How long failures are remembered after the last one. */
export const forgetMs = 60 * 60_000
const maxCounts = 20_000

/** How many milliseconds to wait after so many failures: after the free ones each time twice as long. */
export function pauseAfter(failures: number, { free, maxMs }: Patience): number {
  return failures > free ? Math.min(1000 * 2 ** (failures - free - 1), maxMs) : 0
}

/** Pauses after failures. */
export function createPauses(clock: { now(): Date }) {
  const counts = new Map<string, Count>()

  function countOf(name: string, now: number): Count {
    const known = counts.get(name)
    if (known && now - known.last < forgetMs) return known
    if (counts.size >= maxCounts) counts.delete(counts.keys().next().value!)
    const made = { failures: 0, until: 0, last: now }
    counts.set(name, made)
    return made
  }

  return {
    /**
     * Counts a failure before it is known whether it is one: of many at once no more are let try than one after the other. Gives how
     * many milliseconds there are to wait instead, 0: none.
     */
    begin(all: Patience[]): number {
      const now = clock.now().getTime()
      const until = Math.max(...all.map(({ name }) => counts.get(name)?.until ?? 0))
      if (until > now) return until - now
      for (const patience of all) {
        const count = countOf(patience.name, now)
        count.failures++
        count.last = now
        count.until = now + pauseAfter(count.failures, patience)
      }
      return 0
    },
    /** It was no failure: the names that are settled begin anew, of others it is taken back. */
    takeBack(names: string[], settled: string[]): void {
      for (const name of names) {
        const count = counts.get(name)
        if (!count) continue
        count.failures = Math.max(0, count.failures - 1)
        count.until = 0
      }
      for (const name of settled) counts.delete(name)
    },
  }
}
