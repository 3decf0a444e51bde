import { inBackground, unlessAborted } from '../background.ts'
import type { Feature, Platform } from '../feature.ts'
import { createEarlyRefusal } from './early.ts'

/** Limits on what organizations and repositories store; the database charges them with each push of a manifest. */
export function quotas(platform: Platform): Feature {
  const { volume, log } = platform

  async function work(signal: AbortSignal): Promise<void> {
    const { settle } = await import('./settle.ts')
    await settle(platform, signal)
    // What another registry left may only now be known.
    await unlessAborted(signal, volume.passed())
    signal.throwIfAborted()
    await settle(platform, signal)
  }

  return {
    name: 'quotas',
    wrap: createEarlyRefusal(platform),
    onEvents(events) {
      for (const event of events)
        if (event.type === 'alert' && event.what === 'quota.near') log.warn(event.what, { ...event.detail })
    },
    duty: inBackground(work, (error) => log.error('quotas.not-settled', { error: String(error) })),
    async api() {
      const { quotaOperations } = await import('./operations.ts')
      return quotaOperations(platform)
    },
  }
}
