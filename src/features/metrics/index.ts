import { type Exchange, type Observer, reply, type Route, route } from '../../http/types.ts'
import type { Metrics, Snapshot } from '../../platform/metrics.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { describeProcess } from './process.ts'

/** registry:2's names of the endpoints, so that its dashboards go on; ours are named alike. */
const handlers: Record<string, string> = {
  '/v2/': 'base',
  '/v2': 'base',
  '/v2/_catalog': 'catalog',
  '/v2/:repository+/manifests/:reference': 'manifest',
  '/v2/:repository+/blobs/:digest': 'blob',
  '/v2/:repository+/blobs/uploads/': 'blob_upload',
  '/v2/:repository+/blobs/uploads': 'blob_upload',
  '/v2/:repository+/blobs/uploads/:id': 'blob_upload_chunk',
  '/v2/:repository+/tags/list': 'tags',
  '/v2/:repository+/referrers/:digest': 'referrers',
}
const durations = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60]
const sizes = Array.from({ length: 22 }, (_, index) => 1024 * 2 ** index)

/** Prometheus metrics at the debug listener; counted only when it asks for them. */
export function metrics({ configuration, metadata, clock }: Platform, { metrics: all, siblings }: Serving): Feature {
  const path = configuration.http.debug?.metricsPath
  if (!all || path === undefined) return { name: 'metrics' }
  const observer = countRequests(all)
  const stop = describeProcess(all, clock)
  all.gauge('holdfast_uploads_open', 'Upload sessions that are not finished', async () => {
    return (await metadata.uploads.startedBefore(new Date(clock.now().getTime() + 1000))).length
  })
  const show = route(
    'GET HEAD',
    path,
    () => [],
    async () => {
      const others = (await siblings.ask('metrics')) as (Snapshot | undefined)[]
      const text = await all.text(others.filter((other) => other !== undefined))
      return reply(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }, text)
    },
  )
  siblings.answer('metrics', all.snapshot)
  return { name: 'metrics', observers: [observer], debugRoutes: [show], stop }
}

function countRequests(all: Metrics): Observer {
  const total = all.counter('registry_http_requests_total', 'Total number of HTTP requests made.', [
    'code',
    'handler',
    'method',
  ])
  const seconds = all.histogram(
    'registry_http_request_duration_seconds',
    'The HTTP request latencies in seconds.',
    ['handler', 'method'],
    durations,
  )
  const inFlight = all.level('registry_http_in_flight_requests', 'The in-flight HTTP requests', ['handler'])
  const asked = all.histogram(
    'registry_http_request_size_bytes',
    'The HTTP request sizes in bytes.',
    ['handler'],
    sizes,
  )
  const sent = all.histogram(
    'registry_http_response_size_bytes',
    'The HTTP response sizes in bytes.',
    ['handler'],
    sizes,
  )
  for (const handler of new Set(Object.values(handlers))) inFlight([handler], 0)

  return {
    started(route: Route): void {
      const handler = handlers[route.pattern]
      if (handler !== undefined) inFlight([handler], 1)
    },
    answered({ route, message, status, bytes, ms }: Exchange): void {
      const handler = route && handlers[route.pattern]
      if (handler === undefined) return
      const method = (message.method ?? '').toLowerCase()
      inFlight([handler], -1)
      total([String(status), handler, method])
      seconds([handler, method], ms / 1000)
      asked([handler], Number(message.headers['content-length'] ?? 0) + message.rawHeaders.join('').length)
      sent([handler], message.method === 'HEAD' ? 0 : bytes)
    },
  }
}
