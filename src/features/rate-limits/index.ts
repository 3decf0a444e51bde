import type { Feature, Platform, Serving } from '../feature.ts'
import { createFailedLogins } from './failed-logins.ts'
import { createOrganizations } from './organizations.ts'
import { createPullLimits } from './pulls.ts'

/**
 * How much is too much: pulls by user, address and organization, wrong passwords by address. Those who count
 * together say where.
 */
export function rateLimits({ configuration, accounts, clock, log }: Platform, { counters }: Serving): Feature {
  const { pulls, failedLogins } = configuration.rateLimits
  const { address: limit, windowMs } = failedLogins
  const isLimited = pulls.anonymous !== undefined || pulls.signedIn !== undefined || pulls.organizations.length > 0
  const logins = limit === undefined ? undefined : createFailedLogins({ limit, windowMs, counters, log })
  const names = new Set(pulls.organizations.map(({ name }) => name))
  const organizationsOf = createOrganizations({ facts: accounts, names, clock })
  const wraps = [
    ...(logins ? [logins.wrap] : []),
    ...(isLimited ? [createPullLimits({ limits: pulls, counters, organizationsOf }).wrap] : []),
  ]
  return {
    name: 'rate-limits',
    gates: logins ? [logins.gate] : [],
    wrap: (route) => wraps.reduce((wrapped, wrap) => wrap(wrapped), route),
  }
}
