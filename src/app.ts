import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Configuration } from './config/configuration.ts'
import { createFeatures } from './features/index.ts'
import { createHttpServer, type HttpServer } from './http/server.ts'
import { reply, route } from './http/types.ts'
import type { Pace } from './http/watchdog.ts'
import { createSqliteStore } from './metadata/sqlite/store.ts'
import { createJobs } from './platform/jobs.ts'
import type { Log } from './platform/log.ts'
import type { MetadataStore } from './registry/ports/metadata.ts'
import { createRegistry } from './registry/registry.ts'
import { registryRoutes } from './registry/routes.ts'
import { createFilesystem } from './storage/filesystem.ts'

export interface AppOptions {
  configuration: Configuration
  log: Log
  clock?: { now(): Date }
  pace?: Partial<Pace>
}

export interface App extends HttpServer {
  metadata: MetadataStore
  /** Runs the jobs that are due. */
  runJobs(): Promise<void>
}

/** The only place that makes the parts and puts them together. */
export function createApp({ configuration, log, clock = { now: () => new Date() }, pace }: AppOptions): App {
  const { root: data } = configuration.storage
  const storage = createFilesystem(data)
  const metadata = createSqliteStore({
    folder: join(data, 'holdfast'),
    clock,
    onEvents: (events) => {
      for (const { type, at: _at, actor, ...fields } of events)
        if (!type.endsWith('.pulled')) log.info(type, { ...fields, address: actor.address }) // the access log tells of pulls
      for (const feature of features) feature.onEvents?.(events)
    },
  })
  const features: ReturnType<typeof createFeatures> = createFeatures({ configuration, storage, metadata, log, clock })
  const authorizer = features.find((feature) => feature.authorizer)?.authorizer
  const authenticators = features.flatMap((feature) => feature.authenticators ?? [])
  const registry = createRegistry({
    storage,
    metadata,
    guards: features.flatMap((feature) => feature.guards ?? []),
    authorizer,
    ids: { upload: randomUUID },
    onPull: features.find((feature) => feature.onPull)?.onPull,
  })
  const probe = route(
    'GET HEAD',
    '/',
    () => [],
    async () => reply(200, { 'Cache-Control': 'no-cache' }),
  ) // balancers probe it
  const server = createHttpServer({
    routes: [...registryRoutes(registry), probe, ...features.flatMap((feature) => feature.routes ?? [])],
    authenticators: authenticators.length > 0 ? authenticators : undefined,
    authorizer,
    onError: (error, request) =>
      log.error('request.failed', {
        ...request,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    ...(pace && { pace }),
  })
  const jobs = createJobs(
    features.flatMap((feature) => feature.jobs ?? []),
    { metadata, log },
  )

  return {
    metadata,
    async listen(host, port) {
      for (const feature of features) await feature.start?.()
      return server.listen(host, port)
    },
    runJobs: jobs.look,
    async close(graceMs) {
      await server.close(graceMs)
      await jobs.stop()
      for (const feature of features) await feature.stop?.()
      await metadata.close()
    },
  }
}
