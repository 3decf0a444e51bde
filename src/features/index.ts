import type { Feature, Platform, Serving } from './feature.ts'
import { accessLog } from './access-log/index.ts'
import { accounts } from './accounts/index.ts'
import { collection } from './collection/index.ts'
import { disk } from './disk/index.ts'
import { eventRetention } from './event-retention/index.ts'
import { health } from './health/index.ts'
import { history } from './history/index.ts'
import { maintenance } from './maintenance/index.ts'
import { manifestRules } from './manifest-rules/index.ts'
import { metrics } from './metrics/index.ts'
import { notifications } from './notifications/index.ts'
import { problemPages } from './problems/index.ts'
import { retention } from './retention/index.ts'
import { scrub } from './scrub/index.ts'
import { tagRules } from './tag-rules/index.ts'
import { quotas } from './quotas/index.ts'
import { usage } from './usage/index.ts'
import { uploadPurge } from './upload-purge/index.ts'
import { workloadIdentity } from './workload-identity/index.ts'

export type { Feature } from './feature.ts'
export { gateOf } from './gates.ts'

/** The features there are; gates, guards, observers and authenticators are asked in this order. Some are loaded only when they are on. */
export async function createFeatures(platform: Platform, serving: Serving): Promise<Feature[]> {
  const on = platform.configuration
  return [
    health(platform, serving),
    ...(limitsRates(on.rateLimits) ? [(await import('./rate-limits/index.ts')).rateLimits(platform, serving)] : []),
    ...(on.tokens ? [(await import('./tokens/index.ts')).tokens(platform, serving, on.tokens)] : []),
    ...(on.auth?.kind === 'token'
      ? [(await import('./outside-tokens/index.ts')).outsideTokens(platform, serving, on.auth)]
      : []),
    workloadIdentity(platform, serving),
    accounts(platform, serving),
    ...(on.auth?.kind === 'htpasswd'
      ? [(await import('./htpasswd/index.ts')).htpasswd(platform, serving, on.auth)]
      : []),
    ...(on.auth?.kind === 'silly' ? [(await import('./silly/index.ts')).silly(on.auth)] : []),
    maintenance(platform),
    disk(platform, serving),
    manifestRules(platform),
    notifications(platform, serving),
    uploadPurge(platform),
    eventRetention(platform),
    scrub(platform, serving),
    collection(platform, serving),
    history(platform),
    tagRules(platform),
    retention(platform),
    problemPages(platform),
    usage(platform),
    quotas(platform),
    metrics(platform, serving),
    accessLog(platform, serving),
  ]
}

function limitsRates({ pulls, failedLogins }: Platform['configuration']['rateLimits']): boolean {
  const limits = [pulls.anonymous, pulls.signedIn, failedLogins.address]
  return limits.some((limit) => limit !== undefined) || pulls.organizations.length > 0
}
