import type { Feature, Platform } from './feature.ts'
import { eventRetention } from './event-retention/index.ts'
import { htpasswd } from './htpasswd/index.ts'
import { notifications } from './notifications/index.ts'
import { scrub } from './scrub/index.ts'
import { silly } from './silly/index.ts'
import { uploadPurge } from './upload-purge/index.ts'

/** The features there are; guards are asked in this order. */
export function createFeatures(platform: Platform): Feature[] {
  return [
    htpasswd(platform),
    silly(platform),
    notifications(platform),
    uploadPurge(platform),
    eventRetention(platform),
    scrub(platform),
  ]
}
