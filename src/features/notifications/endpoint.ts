import { setTimeout as sleep } from 'node:timers/promises'
import type { NotificationEndpoint } from '../../config/configuration.ts'
import { http } from '../../platform/http.ts'
import type { Log } from '../../platform/log.ts'
import { send } from '../../platform/send.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { MetadataStore } from '../../registry/ports/metadata.ts'
import type { Counts } from './counts.ts'
import { envelopeOf, type Lookups, type Notification, notificationsOf, type Source } from './envelope.ts'

interface EndpointOptions {
  endpoint: NotificationEndpoint
  /** The name of its place in the event log. */
  cursor: string
  contentType: string
  metadata: Pick<MetadataStore, 'events' | 'cursors'>
  lookups: Lookups
  source: Source
  log: Log
  clock: { now(): Date }
  counts: Counts | undefined
}

type LoggedEvent = RegistryEvent & { sequence: number }

const pageSize = 100
/** An event that an endpoint did not take for so long is given up, so that a dead one does not keep the log for ever. */
const giveUpMs = 7 * 86_400_000

export type Endpoint = ReturnType<typeof createEndpoint>

/**
 * Tells one endpoint about events in their order: it has a place of its own in the event log, so it neither waits for another
 * endpoint nor loses anything by a restart. What it does not take is sent again and again, with pauses of `backoffMs` after
 * `threshold` failures; after a crash it may be told twice, under the same id.
 */
export function createEndpoint(options: EndpointOptions) {
  const { endpoint, cursor, contentType, metadata, lookups, source, log, clock, counts } = options
  const stopping = new AbortController()
  let wake = Promise.withResolvers<void>()
  let failures = 0
  let isReading = true
  let done: number
  let stored: number

  /** Takes up where it stopped; a new endpoint begins with what happens from now on. */
  async function start(): Promise<void> {
    const known = await metadata.cursors.get(cursor)
    const last = await metadata.events.last()
    done = stored = known?.sequence ?? last
    counts?.pending([endpoint.name], last - done)
    if (known === undefined) await metadata.cursors.set(cursor, done)
    running = run()
  }
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = Promise.withResolvers()
      try {
        if (!(await tellPage())) await wake.promise
        isReading = true
      } catch (error) {
        if (isReading) log.error('notification.failed', { endpoint: endpoint.name, error: String(error) })
        isReading = false // the database is away: nothing is lost, and the log need hear of it only once
        await sleep(Math.max(1000, endpoint.backoffMs), undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  /** Tells of the next events; false when there are none. */
  async function tellPage(): Promise<boolean> {
    const events = await metadata.events.after(done, pageSize)
    for (const event of events) {
      await tell(event)
      if (stopping.signal.aborted) return true
      done = event.sequence
      counts?.pending([endpoint.name], -1)
    }
    await keepPlace()
    return events.length > 0
  }

  /** Once a page, not once an event: what a crash makes us tell again has the same ids. */
  async function keepPlace(): Promise<void> {
    if (done === stored) return
    await metadata.cursors.set(cursor, done)
    stored = done
  }

  async function tell(event: LoggedEvent): Promise<void> {
    const notifications = await notificationsOf(event, lookups)
    for (const [place, notification] of notifications.entries()) {
      if (isIgnored(notification)) continue
      counts?.events(['Events', endpoint.name])
      const body = envelopeOf(notification, event, place, source)
      while (!stopping.signal.aborted && !(await deliver(body, event))) {
        if (failures >= endpoint.threshold)
          await sleep(endpoint.backoffMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  function isIgnored({ action, target }: Notification): boolean {
    const { actions, mediaTypes } = endpoint.ignore
    return actions.includes(action) || (target.mediaType !== undefined && mediaTypes.includes(target.mediaType))
  }

  /** True when the endpoint took it, or never will. */
  async function deliver(body: string, { sequence, at }: LoggedEvent): Promise<boolean> {
    try {
      const headers = { 'User-Agent': 'Holdfast', ...endpoint.headers, 'Content-Type': contentType }
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(endpoint.timeoutMs)])
      const status = await send(endpoint.url, { method: 'POST', headers, body, signal })
      counts?.status([`${status} ${http.STATUS_CODES[status] ?? ''}`, endpoint.name])
      if (status < 200 || status >= 400) throw new NotTaken(`status ${status}`)
      if (failures >= endpoint.threshold) log.info('notification.recovered', { endpoint: endpoint.name })
      failures = 0
      counts?.events(['Successes', endpoint.name])
      return true
    } catch (error) {
      if (stopping.signal.aborted) return false
      counts?.events([error instanceof NotTaken ? 'Failures' : 'Errors', endpoint.name])
      if (++failures === endpoint.threshold)
        log.warn('notification.backing-off', { endpoint: endpoint.name, error: reasonOf(error) })
      if (clock.now().getTime() - Date.parse(at) < giveUpMs) return false
      log.error('notification.given-up', { endpoint: endpoint.name, sequence, error: reasonOf(error) })
      return true
    }
  }

  return {
    start,
    /** So many things happened. */
    wake(count: number) {
      counts?.pending([endpoint.name], count)
      wake.resolve()
    },
    async stop() {
      stopping.abort()
      wake.resolve()
      await running
      // Without its place it is told again, under the same ids.
      await keepPlace().catch((error: unknown) =>
        log.error('notification.failed', { endpoint: endpoint.name, error: String(error) }),
      )
    },
  }
}

/** The endpoint answered, but not that it took the notification. */
class NotTaken extends Error {}

function reasonOf(error: unknown): string {
  const { name, message } = error as Error
  return name === 'AbortError' ? 'no answer in time' : message
}
