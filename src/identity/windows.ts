/** How many are counted at once; who comes then takes the place of the one that began first. */
const maxCounted = 100_000

/** What somebody has used up. */
export interface Usage {
  remaining: number
  /** Seconds until all is there again. */
  resetSeconds: number
}

/** Counts what each does in a window of its own, which begins with the first that is counted. */
export function createWindows({ limit, windowMs, clock }: { limit: number; windowMs: number; clock: { now(): Date } }) {
  const windows = new Map<string, { count: number; endsAt: number }>()

  function current(name: string) {
    const now = clock.now().getTime()
    const known = windows.get(name)
    if (known && now < known.endsAt) return known
    windows.delete(name)
    return { count: 0, endsAt: now + windowMs }
  }

  return {
    usage(name: string): Usage {
      const { count, endsAt } = current(name)
      const resetSeconds = Math.ceil((endsAt - clock.now().getTime()) / 1000)
      return { remaining: Math.max(0, limit - count), resetSeconds }
    },
    /** Counts one more, or with -1 takes it back. */
    add(name: string, step: 1 | -1 = 1): void {
      const window = current(name)
      window.count = Math.max(0, window.count + step)
      if (!windows.has(name) && windows.size >= maxCounted) windows.delete(windows.keys().next().value!)
      windows.set(name, window)
    },
  }
}
