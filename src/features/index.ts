import type { Feature, Platform, Serving } from './feature.ts'
import { accessLog } from './access-log/index.ts'
import { accounts } from './accounts/index.ts'
import { eventRetention } from './event-retention/index.ts'
import { health } from './health/index.ts'
import { maintenance } from './maintenance/index.ts'
import { manifestRules } from './manifest-rules/index.ts'
import { metrics } from './metrics/index.ts'
import { htpasswd } from './htpasswd/index.ts'
import { notifications } from './notifications/index.ts'
import { scrub } from './scrub/index.ts'
import { silly } from './silly/index.ts'
import { uploadPurge } from './upload-purge/index.ts'

export type { Feature } from './feature.ts'

/** The features there are; gates, guards and observers are asked in this order. */
export function createFeatures(platform: Platform, serving: Serving): Feature[] {
  return [
    health(platform, serving),
    accounts(platform, serving),
    htpasswd(platform),
    silly(platform),
    maintenance(platform),
    manifestRules(platform),
    notifications(platform, serving),
    uploadPurge(platform),
    eventRetention(platform),
    scrub(platform),
    metrics(platform, serving),
    accessLog(platform, serving),
  ]
}
