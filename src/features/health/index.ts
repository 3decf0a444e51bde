import { reply, type HttpReply, type HttpRequest, route } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createChecks } from './checks.ts'
import { configuredChecks } from './probes.ts'

/** Stay up whatever fails: clients ask there what this is, balancers and schedulers how it is. */
const alwaysUp = new Set(['/', '/v2/', '/v2', '/healthz', '/livez', '/readyz'])
const manual = 'manual_http_status'

/**
 * Health: checks in the background, `/debug/health` as registry:2 has it, and `/healthz`, `/livez`, `/readyz` beside the API.
 * While a check fails the API answers 503. Of several processes the first checks, for all.
 */
export function health({ configuration, storage, log }: Platform, { stopping, siblings }: Serving): Feature {
  const { isFirst } = siblings
  const checks = createChecks(isFirst ? configuredChecks(configuration, storage) : [], {
    changed(name, error) {
      if (!isFirst) return
      if (error === undefined) log.info('health.recovered', { check: name })
      else log.error('health.failing', { check: name, error })
      siblings.tell('health', checks.failures())
    },
  })
  if (isFirst) siblings.tell('health', {}) // another first may have said otherwise
  siblings.hear('health', (failures) => checks.replace(failures as Record<string, string>))

  function refuseWhileFailing({ path }: HttpRequest): void {
    if (checks.isHealthy() || alwaysUp.has(path)) return
    throw new OciError('UNAVAILABLE', {
      message: 'service unavailable',
      detail: 'health check failed: please see /debug/health',
      headers: { 'Retry-After': '10' },
    })
  }
  function ready(): HttpReply {
    if (stopping.aborted) return plain(503, 'stopping')
    if (!siblings.isWhole()) return plain(503, 'the process that writes is away')
    return checks.isHealthy() ? plain(200, 'ok') : plain(503, 'unhealthy')
  }
  async function set(error: string | undefined): Promise<HttpReply> {
    checks.set(manual, error)
    return reply(200)
  }

  return {
    name: 'health',
    gates: [refuseWhileFailing],
    routes: [
      route('GET HEAD', '/livez', open, async () => plain(200, 'ok')),
      route('GET HEAD', '/healthz', open, async () =>
        checks.isHealthy() ? plain(200, 'ok') : plain(503, 'unhealthy'),
      ),
      route('GET HEAD', '/readyz', open, async () => ready()),
    ],
    debugRoutes: [
      route('GET HEAD', '/debug/health', open, async () => json(checks.isHealthy() ? 200 : 503, checks.failures())),
      route('POST', '/debug/health/down', open, () => set('manual Check')),
      route('POST', '/debug/health/up', open, () => set(undefined)),
      ...['/debug/vars', '/debug/pprof', '/debug/pprof/:profile'].map((path) =>
        route('GET HEAD', path, open, notOffered),
      ),
    ],
    stop: checks.stop,
  }
}

const open = () => []

async function notOffered(): Promise<HttpReply> {
  return plain(404, 'not offered: numbers are at the path of http.debug.prometheus, the state is at /debug/health')
}

function plain(status: number, text: string): HttpReply {
  return reply(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }, `${text}\n`)
}

function json(status: number, value: unknown): HttpReply {
  return reply(status, { 'Content-Type': 'application/json' }, JSON.stringify(value))
}
