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

/** What was counted here of a window since others were told. */
export interface Unsettled {
  name: string
  step: number
  leftMs: number
  /** Tells this window from the next one of the name. */
  endsAt: number
}

/** What others have counted as well, of a window of which others were told `settled`. */
export interface Settled {
  name: string
  settled: number
  endsAt: number
  total: number
  leftMs: number
}

interface Counted {
  count: number
  /** How many of them others do not know of. */
  own: number
  endsAt: number
}

/** Counts what each does in a window of its own. */
export function createWindows(clock: { now(): Date }) {
  const windows = new Map<string, Counted>()
  /** Whose windows were used since others were told; undefined where there are no others. */
  let used: Set<string> | undefined
  const time = () => clock.now().getTime()

  function current({ name, windowMs }: Window): Counted {
    if (used && used.size < maxCounted) used.add(name)
    const known = windows.get(name)
    if (known && time() < known.endsAt) return known
    windows.delete(name)
    return { count: 0, own: 0, endsAt: time() + windowMs }
  }

  function keep(name: string, counted: Counted): void {
    if (!windows.has(name) && windows.size >= maxCounted) windows.delete(windows.keys().next().value!)
    windows.set(name, counted)
  }

  return {
    usage(window: Window): Usage {
      const { count, endsAt } = current(window)
      const resetSeconds = Math.ceil((endsAt - time()) / 1000)
      return { remaining: Math.max(0, window.limit - count), resetSeconds }
    },
    /** Counts one more, or with -1 takes it back. */
    add(window: Window, step: 1 | -1 = 1): void {
      const counted = current(window)
      const before = counted.count
      counted.count = Math.max(0, before + step)
      counted.own += counted.count - before
      keep(window.name, counted)
    },
    /** What others are to be told of, and asked about: at most so many windows that were used. */
    unsettled(most: number): Unsettled[] {
      const names = [...(used ??= new Set())].slice(0, most)
      return names.map((name) => {
        used!.delete(name)
        const { own: step, endsAt } = windows.get(name) ?? { own: 0, endsAt: time() }
        return { name, step, leftMs: Math.max(0, endsAt - time()), endsAt }
      })
    },
    /** Takes over what is counted by all. */
    settle(all: Settled[]): void {
      for (const { name, settled, endsAt, total, leftMs } of all) {
        const known = windows.get(name)
        if (known && known.endsAt !== endsAt && settled !== 0) continue // another one has begun meanwhile
        const own = known ? known.own - settled : 0
        keep(name, { count: Math.max(0, total + own), own, endsAt: time() + leftMs })
      }
    },
  }
}
