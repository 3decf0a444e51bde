import { isIPv6 } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { OciError } from '../oci/errors.ts'

interface Count {
  failures: number
  /** Until then nobody is let try. */
  until: number
  last: number
}

interface Limits {
  /** So many failures cost nothing. */
  free: number
  /** The longest pause. */
  maxMs: number
}

/** For one name from one network, and for all names from it. */
const [ofName, ofNetwork]: [Limits, Limits] = [
  { free: 5, maxMs: 5 * 60_000 },
  { free: 50, maxMs: 60_000 },
]
const forgetMs = 60 * 60_000
const maxCounts = 20_000
/** No refusal comes sooner, so that the time it takes does not tell what was wrong. */
const refusalMs = 250

/**
 * Makes those wait who try passwords: after a few failures for a name from a network, and after more for all names, each pause is
 * twice the one before. Others who know the name are not kept out, and access tokens and remembered passwords do not come here.
 */
export function createThrottle(clock: { now(): Date }) {
  const counts = new Map<string, Count>()

  function countOf(key: string, now: number): Count {
    const known = counts.get(key)
    if (known && now - known.last < forgetMs) return known
    if (counts.size >= maxCounts) counts.delete(counts.keys().next().value!)
    const made = { failures: 0, until: 0, last: now }
    counts.set(key, made)
    return made
  }

  function begin(count: Count, { free, maxMs }: Limits, now: number): void {
    count.failures++
    count.last = now
    if (count.failures > free) count.until = now + Math.min(1000 * 2 ** (count.failures - free - 1), maxMs)
  }

  return {
    /**
     * Whether the check succeeds; it is not even asked during a pause.
     * @throws OciError TOOMANYREQUESTS with Retry-After
     */
    async attempt(name: string, address: string, check: () => Promise<boolean>): Promise<boolean> {
      const now = clock.now().getTime()
      const network = networkOf(address)
      const keys = [`${network} ${name}`, network] as const
      const until = Math.max(...keys.map((key) => counts.get(key)?.until ?? 0))
      if (until > now) throw tooMany(until - now)
      const counted = [
        [countOf(keys[0], now), ofName],
        [countOf(keys[1], now), ofNetwork],
      ] as const
      // Counted before it is known: of many at once no more are checked than one after the other.
      const before = counted.map(([count]) => ({ ...count }))
      for (const [count, limits] of counted) begin(count, limits, now)
      const begun = performance.now()
      const undo = () => counted.forEach(([count], index) => Object.assign(count, before[index]))
      const isRight = await check().catch((error: unknown) => {
        undo()
        throw error
      })
      if (isRight) {
        counts.delete(keys[0])
        counted[1][0].failures = Math.max(0, counted[1][0].failures - 1)
        counted[1][0].until = 0
      } else await setTimeout(Math.max(0, refusalMs - (performance.now() - begun)))
      return isRight
    },
  }
}

function tooMany(ms: number): OciError {
  const seconds = Math.ceil(ms / 1000)
  return new OciError('TOOMANYREQUESTS', {
    message: `too many failed sign-ins: try again in ${seconds} s`,
    headers: { 'Retry-After': String(seconds) },
  })
}

/** Who has an IPv6 address has its 64 bits of network as well. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('%')[0]!.split('::')
  const groups = head.split(':').filter(Boolean)
  const after = tail.split(':').filter(Boolean)
  const all = [...groups, ...Array<string>(Math.max(0, 8 - groups.length - after.length)).fill('0'), ...after]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
