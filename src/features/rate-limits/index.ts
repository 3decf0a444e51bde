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
  return {
    name: 'rate-limits',
    ...(logins && { gates: [logins.gate], observers: [logins.observer] }),
    ...(isLimited && { wrap: createPullLimits({ limits: pulls, counters, organizationsOf }).wrap }),
  }
}
