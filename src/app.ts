import { randomUUID } from 'node:crypto'
import { uptime } from 'node:os'
import { join } from 'node:path'
import type { Configuration } from './config/configuration.ts'
import { createFeatures } from './features/index.ts'
import { createHttpServer, type HttpServer } from './http/server.ts'
import { reply, route } from './http/types.ts'
import type { Pace } from './http/watchdog.ts'
import { createSqliteStore, type SqliteStore } from './metadata/sqlite/store.ts'
import { createJobs } from './platform/jobs.ts'
import type { Log } from './platform/log.ts'
import type { RegistryEvent } from './registry/ports/events.ts'
import type { MetadataStore } from './registry/ports/metadata.ts'
import type { StorageDriver } from './registry/ports/storage.ts'
import { createRegistry } from './registry/registry.ts'
import { registryRoutes } from './registry/routes.ts'
import { createFilesystem } from './storage/filesystem.ts'
import { createVolume } from './volume/volume.ts'

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
  const { storage, store } = openStores({
    configuration,
    clock,
    onEvents(events) {
      events.forEach(({ type, at: _at, actor, ...fields }) => log.info(type, { ...fields, address: actor.address }))
      volume.notice()
    },
  })
  const volume = createVolume({
    storage,
    store,
    log,
    clock,
    bootedAt: bootedAt(clock),
    follow: configuration.storage.followTree,
  })
  const { metadata } = volume
  const features = createFeatures({ configuration, storage, metadata, log, clock })
  const authorizer = features.find((feature) => feature.authorizer)?.authorizer
  const authenticators = features.flatMap((feature) => feature.authenticators ?? [])
  const registry = createRegistry({
    storage,
    metadata,
    guards: features.flatMap((feature) => feature.guards ?? []),
    authorizer,
    ids: { upload: randomUUID },
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
    async listen(...address) {
      const bound = await server.listen(...address)
      volume.start()
      return bound
    },
    runJobs: jobs.look,
    async close(graceMs) {
      await server.close(graceMs)
      await jobs.stop()
      await volume.stop()
      await metadata.close()
    },
  }
}

/** When this machine started. */
export function bootedAt(clock: { now(): Date }): Date {
  return new Date(clock.now().getTime() - uptime() * 1000)
}

interface StoreOptions {
  configuration: Configuration
  clock: { now(): Date }
  onEvents?: (events: RegistryEvent[]) => void
  /** Begins with an empty database and keeps the one that is there under another name. */
  anew?: boolean
}

/** Opens what a registry keeps. @throws when another process has it open */
export function openStores({ configuration, ...options }: StoreOptions): {
  storage: StorageDriver
  store: SqliteStore
} {
  const { root } = configuration.storage
  const store = createSqliteStore({ folder: join(root, 'holdfast'), ...options })
  return { storage: createFilesystem(root), store }
}
