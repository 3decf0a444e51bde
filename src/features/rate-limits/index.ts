import type { Feature, Platform } from '../feature.ts'
import { createFailedLogins } from './failed-logins.ts'
import { createPullLimits } from './pulls.ts'

/** How much is too much: pulls by user or address, wrong passwords by address. Each process counts for itself, in memory. */
export function rateLimits({ configuration, clock, log }: Platform): Feature {
  const { pulls, failedLogins } = configuration.rateLimits
  const { address: limit, windowMs } = failedLogins
  const isLimited = pulls.anonymous !== undefined || pulls.signedIn !== undefined
  const logins = limit === undefined ? undefined : createFailedLogins({ limit, windowMs, clock, log })
  return {
    name: 'rate-limits',
    ...(logins && { gates: [logins.gate], observers: [logins.observer] }),
    ...(isLimited && { wrap: createPullLimits({ limits: pulls, clock }).wrap }),
  }
}
