import type { Feature, Platform } from '../feature.ts'

/** Limits on what organizations and repositories store; the database charges them with each push of a manifest. */
export function quotas({ quotas: facts, log }: Platform): Feature {
  return {
    name: 'quotas',
    onEvents(events) {
      for (const event of events)
        if (event.type === 'alert' && event.what === 'quota.near') log.warn(event.what, { ...event.detail })
    },
    async api() {
      const { quotaOperations } = await import('./operations.ts')
      return quotaOperations(facts)
    },
  }
}
