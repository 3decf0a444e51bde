import { setTimeout } from 'node:timers/promises'
import { inBackground, unlessAborted } from '../background.ts'
import type { Feature, Platform } from '../feature.ts'
import { createEarlyRefusal } from './early.ts'

/** Between two steps, so that requests come first. */
const pauseMs = 4

/** Limits on what organizations and repositories store; the database charges them with each push of a manifest. */
export function quotas(platform: Platform): Feature {
  const { volume, log } = platform

  async function work(signal: AbortSignal): Promise<void> {
    const { settle } = await import('./settle.ts')
    await settle(platform, signal)
    // What another registry left may only now be known.
    await unlessAborted(signal, volume.passed())
    signal.throwIfAborted()
    const { collection, storage } = platform.configuration
    if (!collection.enabled && !storage.readOnly) await readManifests(signal)
    await settle(platform, signal)
  }

  /** What refers to what is found out by the collector, which is off. */
  async function readManifests(signal: AbortSignal): Promise<void> {
    const { createCollector } = await import('../../collection/collector.ts')
    const { collection: facts, configuration, ...parts } = platform
    const breathe = () => setTimeout(pauseMs, undefined, { signal })
    const follow = configuration.storage.followTree
    await createCollector({ ...parts, facts, configuration, follow, isServing: true, breathe }).prepare()
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
