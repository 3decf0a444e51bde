import { createPauses, type Patience } from './pauses.ts'
import { createWindows, type Settled, type Usage, type Window } from './windows.ts'

/** How many things that cost nothing more are remembered of how many. */
const [maxFree, maxClients] = [100, 10_000]

/** What was made of a request that costs one of each window. */
export interface Taken {
  /** False where one of the windows is used up: then nothing was taken. */
  isTaken: boolean
  /** It was paid already. */
  isFree: boolean
  /** Of each window, afterwards. */
  usages: Usage[]
}

/**
 * What is counted once for all processes of a machine: how much somebody did, and how often they failed. It lies in memory, in one
 * process; every call is done at once, so no two of them see the same state. What machines count together is `processes/shared-counters.ts`.
 */
export function createLedger(clock: { now(): Date }) {
  const windows = createWindows(clock)
  const pauses = createPauses(clock)
  const free = new Map<string, Map<string, number>>()

  function isFree(name: string, item: string): boolean {
    return (free.get(name)?.get(item) ?? 0) > clock.now().getTime()
  }

  return {
    look: (all: Window[]): Usage[] => all.map(windows.usage),
    /** Takes one of each window, unless what is asked for is free. */
    take(all: Window[], asked?: { of: string; item: string }): Taken {
      const paid = asked !== undefined && isFree(asked.of, asked.item)
      const isTaken = !paid && all.every((window) => windows.usage(window).remaining > 0)
      if (isTaken) for (const window of all) windows.add(window)
      return { isTaken, isFree: paid, usages: all.map(windows.usage) }
    },
    giveBack(all: Window[]): void {
      for (const window of all) windows.add(window, -1)
    },
    /** From now on these items, and no others, are free for this name. */
    allow(name: string, items: string[], ms: number): void {
      const until = clock.now().getTime() + ms
      if (free.size >= maxClients) free.delete(free.keys().next().value!)
      free.delete(name)
      free.set(name, new Map(items.slice(0, maxFree).map((item) => [item, until])))
    },
    /** Counts one more, also where none is left. */
    add(window: Window): Usage {
      windows.add(window)
      return windows.usage(window)
    },
    unsettled: windows.unsettled,
    settle: (all: Settled[]): void => windows.settle(all),
    begin: (all: Patience[]): number => pauses.begin(all),
    takeBack: pauses.takeBack,
  }
}

type Ledger = ReturnType<typeof createLedger>

/** A ledger here or in another process. */
export type Counters = {
  [K in keyof Ledger]: (...args: Parameters<Ledger[K]>) => ReturnType<Ledger[K]> | Promise<ReturnType<Ledger[K]>>
}

const names = [
  'look',
  'take',
  'giveBack',
  'allow',
  'add',
  'begin',
  'takeBack',
  'unsettled',
  'settle',
] as const satisfies (keyof Ledger)[]

/** A ledger in another process, which is asked over `call`. */
export function countersOver(call: (name: string, args: unknown[]) => Promise<unknown>): Counters {
  const ways = names.map((name) => [name, (...args: unknown[]) => call(name, args)])
  return Object.fromEntries(ways) as Counters
}
