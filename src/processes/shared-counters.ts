import type { Tallies } from '../metadata/tally-facts.ts'
import type { Counters } from '../platform/counters.ts'
import type { Log } from '../platform/log.ts'

/** How often machines tell one another what they count, and of how many at once. */
const [settleMs, mostSettled] = [1000, 1000]
const sweepMs = 600_000

interface Deps {
  /** What the processes of this machine count. */
  own: Counters
  /** Where machines count together; undefined: there are no others. */
  tallies: Tallies | undefined
  /** Whether it is this process that settles for its machine. */
  isFirst: boolean
  log: Log
}

/** What limits go by, here or with other machines, and what keeps it so while the registry runs. */
export function createCounting({ tallies, ...deps }: Deps) {
  if (!tallies) return { counters: deps.own, start: () => {}, stop: async () => {} }
  return createSharedCounters({ tallies, ...deps })
}

/**
 * What several machines count together. Requests are counted here, in memory; once a second the machine adds what it has counted to
 * what all have, and takes that over. So no request waits for a database, and a limit can be exceeded by what passes in that second.
 * Failed sign-ins, which are slow anyway, are counted for all at once.
 */
function createSharedCounters({ own, tallies, isFirst, log }: Deps & { tallies: Tallies }) {
  const onError = (error: unknown) => log.warn('counters.not-shared', { error: String(error) })
  let timer: NodeJS.Timeout | undefined
  let isEnding = false
  let settling: Promise<void> | undefined
  let sweptAt = performance.now()

  async function settle(): Promise<void> {
    for (;;) {
      const steps = await own.unsettled(mostSettled)
      if (steps.length === 0) break
      const found = new Map((await tallies.settle(steps)).map((total) => [total.name, total]))
      await own.settle(
        steps.flatMap(({ name, step: settled, endsAt }) => {
          const total = found.get(name)
          return total ? [{ ...total, settled, endsAt }] : []
        }),
      )
      if (steps.length < mostSettled) break
    }
    if (performance.now() - sweptAt < sweepMs) return
    sweptAt = performance.now()
    await tallies.sweep()
  }

  /** One after the other: what one has told the next must not tell again. */
  function tick(): void {
    settling = settle()
      .catch(onError) // what was counted is told when more is
      .then(() => {
        if (!isEnding) timer = setTimeout(tick, settleMs).unref()
      })
  }

  const counters: Counters = {
    ...own,
    async add(window) {
      const { name, windowMs } = window
      try {
        const [total] = await tallies.settle([{ name, step: 1, leftMs: windowMs }])
        await own.settle([{ ...total!, settled: 0, endsAt: 0 }])
        return (await own.look([window]))[0]!
      } catch (error) {
        onError(error)
        return own.add(window)
      }
    },
    begin: tallies.begin,
    takeBack: tallies.takeBack,
  }

  return {
    counters,
    start(): void {
      if (isFirst) tick()
    },
    async stop(): Promise<void> {
      isEnding = true
      clearTimeout(timer)
      await settling
      if (isFirst) await settle().catch(() => {}) // the database is away
    },
  }
}
