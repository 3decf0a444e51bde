import { setTimeout } from 'node:timers/promises'
import { OciError } from '../oci/errors.ts'
import type { Counters } from '../platform/counters.ts'
import { networkOf } from './network.ts'

/** For one name from one network, and for all names from it: failures that cost nothing, and the longest pause. */
const [ofName, ofNetwork] = [
  { free: 5, maxMs: 5 * 60_000 },
  { free: 50, maxMs: 60_000 },
]
/** No refusal comes sooner, so that the time it takes does not tell what was wrong. */
const refusalMs = 250

export type Throttle = ReturnType<typeof createThrottle>

/**
 * Makes those wait who try passwords: after a few failures for a name from a network, and after more for all names, each pause is
 * twice the one before. Others who know the name are not kept out, and access tokens and remembered passwords do not come here.
 */
export function createThrottle(counters: Pick<Counters, 'begin' | 'takeBack'>) {
  return {
    /**
     * Whether the check succeeds; it is not even asked during a pause.
     * @throws OciError TOOMANYREQUESTS with Retry-After
     */
    async attempt(name: string, address: string, check: () => Promise<boolean>): Promise<boolean> {
      const network = networkOf(address)
      const own = `${network} ${name}`
      const both = [own, network]
      const waitMs = await counters.begin([
        { name: own, ...ofName },
        { name: network, ...ofNetwork },
      ])
      if (waitMs > 0) throw tooMany(waitMs)
      const begun = performance.now()
      const isRight = await check().catch(async (error: unknown) => {
        await counters.takeBack(both, [])
        throw error
      })
      if (isRight) await counters.takeBack(both, [own])
      else await setTimeout(Math.max(0, refusalMs - (performance.now() - begun)))
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
