import type { Feature, Platform } from '../feature.ts'
import { createEarlyRefusal } from './early.ts'

/** Limits on what organizations and repositories store; the database charges them with each push of a manifest. */
export function quotas(platform: Platform): Feature {
  const { volume, log } = platform
  let stopping = new AbortController()
  let working: Promise<void> = Promise.resolve()

  async function work(signal: AbortSignal): Promise<void> {
    const { settle } = await import('./settle.ts')
    await settle(platform, signal)
    // What another registry left may only now be known.
    const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve))
    await Promise.race([volume.passed(), stopped])
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
    duty: {
      async begin() {
        stopping = new AbortController()
        const { signal } = stopping
        working = work(signal).catch((error: unknown) => {
          if (!signal.aborted) log.error('quotas.not-settled', { error: String(error) })
        })
      },
      async end() {
        stopping.abort()
        await working
      },
    },
    async api() {
      const { quotaOperations } = await import('./operations.ts')
      return quotaOperations(platform)
    },
  }
}
