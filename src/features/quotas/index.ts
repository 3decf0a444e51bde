import type { Feature, Platform } from '../feature.ts'

const settleMs = 1000

/** Limits on what organizations and repositories store; the database charges them with each push of a manifest. */
export function quotas({ quotas: facts, log }: Platform): Feature {
  /** Whom it was said already. */
  const warned = new Set<string>()
  let timer: NodeJS.Timeout | undefined

  /** Says once that a scope came near its limit. */
  async function look(): Promise<void> {
    for (const { scope, limit, soft, used } of await facts.list()) {
      const isNear = used >= (limit * soft) / 100
      if (isNear && !warned.has(scope))
        log.warn('quota.near', { scope, usedBytes: used, limitBytes: limit, message: `over ${soft} % of the quota` })
      if (isNear) warned.add(scope)
      else warned.delete(scope)
    }
  }

  return {
    name: 'quotas',
    onEvents(events) {
      if (timer || !events.some(({ type }) => type === 'manifest.pushed')) return
      timer = setTimeout(() => {
        timer = undefined
        look().catch((error: unknown) => log.warn('quota.not-read', { error: String(error) }))
      }, settleMs).unref()
    },
    stop: () => clearTimeout(timer),
    async api() {
      const { quotaOperations } = await import('./operations.ts')
      return quotaOperations(facts)
    },
  }
}
