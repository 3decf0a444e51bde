import type { Metrics } from '../../platform/metrics.ts'

export type Counts = ReturnType<typeof createCounts>

/** How the endpoints fare, under registry:2's names. */
export function createCounts(metrics: Metrics) {
  const name = (own: string) => `registry_notifications_${own}_total`
  return {
    events: metrics.counter(name('events'), 'The number of total events', ['type', 'endpoint']),
    status: metrics.counter(name('status'), 'The number of status code', ['code', 'endpoint']),
    pending: metrics.level(name('pending'), 'The gauge of pending events in queue', ['endpoint']),
  }
}
