/** How many are counted at once; who comes then takes the place of the one that began first. */
const maxCounted = 100_000

/** What somebody may do so often in a window of their own, which begins with the first that is counted. */
export interface Window {
  name: string
  limit: number
  windowMs: number
}

/** What somebody has used up. */
export interface Usage {
  remaining: number
  /** Seconds until all is there again. */
  resetSeconds: number
}

/** Counts what each does in a window of its own. */
export function createWindows(clock: { now(): Date }) {
  const windows = new Map<string, { count: number; endsAt: number }>()

  function current({ name, windowMs }: Window) {
    const now = clock.now().getTime()
    const known = windows.get(name)
    if (known && now < known.endsAt) return known
    windows.delete(name)
    return { count: 0, endsAt: now + windowMs }
  }

  return {
    usage(window: Window): Usage {
      const { count, endsAt } = current(window)
      const resetSeconds = Math.ceil((endsAt - clock.now().getTime()) / 1000)
      return { remaining: Math.max(0, window.limit - count), resetSeconds }
    },
    /** Counts one more, or with -1 takes it back. */
    add(window: Window, step: 1 | -1 = 1): void {
      const { name } = window
      const counted = current(window)
      counted.count = Math.max(0, counted.count + step)
      if (!windows.has(name) && windows.size >= maxCounted) windows.delete(windows.keys().next().value!)
      windows.set(name, counted)
    },
  }
}
