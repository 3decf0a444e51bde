import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Digest } from '../../oci/digest.ts'
import type { Actor, Happening } from '../../registry/ports/events.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createCounts } from './counts.ts'
import type { Endpoint } from './endpoint.ts'
import type { Lookups } from './envelope.ts'

/** Pulls change no state: they are gathered for so long and then recorded together. */
const gatherMs = 200

/**
 * registry:2's webhooks. They are read from the event log: a push does not wait for them, and a restart loses none. Pulls are
 * recorded there only when an endpoint wants to know about them.
 */
export function notifications({ configuration, metadata, log, clock }: Platform, { metrics }: Serving): Feature {
  const { endpoints, includeReferences, version, alerts } = configuration.notifications
  const { address, origin, prefix, tls } = configuration.http
  const source = { addr: 'port' in address ? `${hostname()}:${address.port}` : hostname(), instanceID: randomUUID() }
  const contentType = `application/vnd.docker.distribution.events.${version}+json`
  const lookups: Lookups = {
    sizeOfBlob: async (digest) => (await metadata.blobs.findAnywhere(digest as Digest))?.size,
    referencesOf: includeReferences ? referencesOf : undefined,
    hasAlerts: alerts,
    base: ({ host }) => `${origin ?? `${tls ? 'https' : 'http'}://${host ?? source.addr}`}${prefix}`,
  }
  const counts = metrics && endpoints.length > 0 ? createCounts(metrics) : undefined
  const cursors = endpoints.map(({ name }, index) => {
    const isFirst = endpoints.findIndex((other) => other.name === name) === index
    return `notifications:${name}${isFirst ? '' : ` ${index}`}`
  })
  let running: Endpoint[] = []

  /** Reads the log for every endpoint, each from where it stopped. */
  async function begin(): Promise<void> {
    for (const name of await metadata.cursors.names())
      if (name.startsWith('notifications:') && !cursors.includes(name)) await metadata.cursors.delete(name)
    if (endpoints.length === 0) return
    const { createEndpoint } = await import('./endpoint.ts')
    running = endpoints.map((endpoint, index) =>
      createEndpoint({ endpoint, cursor: cursors[index]!, contentType, metadata, lookups, source, log, clock, counts }),
    )
    for (const endpoint of running) await endpoint.start()
  }
  async function end(): Promise<void> {
    await Promise.all(running.map((endpoint) => endpoint.stop()))
    running = []
  }

  async function referencesOf(repository: string, digest: string): Promise<unknown[]> {
    const manifest = await metadata.manifests.find(repository, { digest: digest as Digest })
    if (!manifest) return [] // deleted since
    const { config, layers = [], manifests = [] } = JSON.parse(manifest.content.toString()) as Record<string, unknown[]>
    return [...(config ? [config] : []), ...layers, ...manifests]
  }

  let pulls: (Happening & { actor: Actor })[] = []
  let gathering: NodeJS.Timeout | undefined

  async function recordPulls(): Promise<void> {
    clearTimeout(gathering)
    gathering = undefined
    const gathered = pulls
    pulls = []
    try {
      if (gathered.length > 0) await metadata.events.record(gathered)
    } catch (error) {
      log.error('pulls.not-recorded', { error: String(error) })
    }
  }

  function onPull(pull: Happening, actor: Actor): void {
    pulls.push({ ...pull, actor })
    gathering ??= setTimeout(() => void recordPulls(), gatherMs)
  }

  const wantsPulls = endpoints.some(({ ignore }) => !ignore.actions.includes('pull'))
  return {
    name: 'notifications',
    ...(wantsPulls && { onPull }),
    onEvents: (events) => running.forEach((endpoint) => endpoint.wake(events.length)),
    duty: { begin, end },
    stop: recordPulls,
  }
}
