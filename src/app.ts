import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { apiRoute } from './api/index.ts'
import { type AccessControl, createAccessControl } from './auth/control.ts'
import type { Configuration } from './config/configuration.ts'
import { createFeatures, type Feature } from './features/index.ts'
import { createHttpServer, type Handle } from './http/server.ts'
import { reply, route } from './http/types.ts'
import { createAddressing, createBase } from './listen/addressing.ts'
import { type Address, createListener } from './listen/listener.ts'
import { createWatchdog, type Pace } from './listen/watchdog.ts'
import type { SqlStore } from './metadata/sql/store.ts'
import { noUploadStates, type UploadStates } from './metadata/upload-states.ts'
import { answerBrokenRequest } from './platform/broken-request.ts'
import { createDuty } from './platform/duty.ts'
import { createJobs } from './platform/jobs.ts'
import type { Log } from './platform/log.ts'
import { createMetrics } from './platform/metrics.ts'
import type { RegistryEvent } from './registry/ports/events.ts'
import type { MetadataStore } from './registry/ports/metadata.ts'
import type { StorageDriver } from './registry/ports/storage.ts'
import { uploadsPath } from './registry/paths.ts'
import { createRegistry } from './registry/registry.ts'
import { registryRoutes } from './registry/routes.ts'
import type { Keyring } from './storage/encrypted/keyring.ts'
import { keysPath } from './storage/encrypted/paths.ts'
import { createFilesystem } from './storage/filesystem.ts'
import { timed } from './storage/timed.ts'
import { createOwner } from './volume/owner.ts'
import { withTreeAt } from './volume/place.ts'
import { createSharedVolume } from './volume/shared-volume.ts'
import { createVolume, type Volume } from './volume/volume.ts'

export interface AppOptions {
  configuration: Configuration
  log: Log
  clock?: { now(): Date }
  /** Where the access log goes; nowhere by default. */
  writeAccess?: (lines: string) => void
  pace?: Partial<Pace>
}

export interface App {
  metadata: MetadataStore
  /** Gives the addresses that were bound. @throws Error that says what to do */
  listen(): Promise<{ address: Address; debug: Address | undefined }>
  /** Runs the jobs that are due. */
  runJobs(): Promise<void>
  /** Stops accepting, answers what is in flight, then closes; who is still busy after `graceMs` is cut. */
  close(graceMs?: number): Promise<void>
}

/** The only place that makes the parts and puts them together. */
export async function createApp(options: AppOptions): Promise<App> {
  const { configuration, log, clock = { now: () => new Date() }, writeAccess = () => undefined } = options
  const { http } = configuration
  const stopping = new AbortController()
  const metrics = http.debug?.metricsPath === undefined ? undefined : createMetrics()
  const { storage: files, store } = await openStores({
    configuration,
    clock,
    onEvents: (events) => {
      for (const { type, at: _at, actor, ...fields } of events)
        if (!type.endsWith('.pulled'))
          log.info(type, { ...fields, ...(actor.address ? { address: actor.address } : { actor: actor.name }) }) // the access log tells of pulls
      volume.notice()
      for (const feature of features) feature.onEvents?.(events)
    },
    onCommit: metrics && measureCommits(metrics),
  })
  const storage = metrics ? timed(files, measureStorage(metrics, configuration)) : files
  const isShared = configuration.databaseUrl !== undefined
  const isRemote = configuration.storage.objects !== undefined
  const kept = { storage, store, log, clock, follow: configuration.storage.followTree, isRemote }
  const volume = isShared ? createSharedVolume(kept) : createVolume({ ...kept, bootedAt: bootedAt(clock) })
  // A folder with SQLite in it can be nobody else's.
  const owner = isShared || isRemote ? createOwner({ storage, facts: store.volume, log, clock }) : undefined
  await owner?.expectOurs().catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  const { metadata } = volume
  const features: ReturnType<typeof createFeatures> = createFeatures(
    { configuration, storage, metadata, vault: store.vault, accounts: store.accounts, log, clock },
    { stopping: stopping.signal, metrics, writeAccess, access: () => access, baseOf: createBase(http) },
  )
  const access = createAccess(features)
  const registry = createRegistry({
    storage,
    metadata,
    guards: features.flatMap((feature) => feature.guards ?? []),
    lists: configuration.lists,
    access,
    ids: { upload: randomUUID },
    onPull: features.find((feature) => feature.onPull)?.onPull,
  })
  const probe = route(
    'GET HEAD',
    '/',
    () => [],
    async () => reply(200, { 'Cache-Control': 'no-cache' }),
  ) // balancers probe it
  const api = apiRoute({
    load: async () => (await Promise.all(features.map((feature) => feature.api?.() ?? []))).flat(),
    access: () => access,
    vault: store.vault,
    clock,
    onError: (error, requestId) => log.error('request.failed', { requestId, error: textOf(error) }),
  })
  const watchdog = createWatchdog(options.pace)
  const onError = (error: unknown, message: IncomingMessage) => log.error('request.failed', failureOf(error, message))
  const handle = createHttpServer({
    routes: [...registryRoutes(registry), probe, api, ...features.flatMap((feature) => feature.routes ?? [])],
    gates: features.flatMap((feature) => feature.gates ?? []),
    access,
    observers: features.flatMap((feature) => feature.observers ?? []),
    addressing: createAddressing(http),
    watchdog,
    onError,
  })
  const listenOn = (where: Parameters<typeof createListener>[0]['http'], served: Handle) =>
    createListener({ http: where, handle: served, refuse: answerBrokenRequest, pace: watchdog.pace, log, clock })
  const listener = listenOn(http, handle)
  const debugRoutes = features.flatMap((feature) => feature.debugRoutes ?? [])
  const debug =
    http.debug &&
    listenOn(
      { address: http.debug.address, tls: undefined, http2: false, h2c: false },
      createHttpServer({ routes: debugRoutes, watchdog, onError }),
    )
  // Alone, a node is always the same one: what it held when it crashed is still its own.
  const node = isShared ? randomUUID() : 'alone'
  const jobs = createJobs(
    features.flatMap((feature) => feature.jobs ?? []),
    { metadata, node, log },
  )
  const followers = createFollowers({ volume, features, owner, log }, isShared ? lookMs : undefined)
  const duty = isShared ? createDuty({ name: followersDuty, node, metadata, log, ...followers }) : undefined

  return {
    metadata,
    async listen() {
      for (const feature of features) await feature.start?.()
      await (duty ? duty.start() : followers.begin())
      return { debug: await debug?.listen(), address: await listener.listen() }
    },
    runJobs: jobs.look,
    async close(graceMs = http.drainMs) {
      stopping.abort()
      await listener.close(graceMs)
      await debug?.close(0)
      watchdog.stop()
      await jobs.stop()
      for (const feature of features) await feature.stop?.()
      await (duty ? duty.stop() : followers.end())
      await metadata.close()
    },
  }
}

/** The duty of the one node that reads the event log. */
export const followersDuty = 'followers'

/** How often the log is looked at for what other nodes have recorded. */
const lookMs = 1000

interface Following {
  volume: Volume
  features: ReturnType<typeof createFeatures>
  owner: ReturnType<typeof createOwner> | undefined
  log: Log
}

/** Whatever reads the event log all the time; it is told when there is news, or looks for it every so often. */
function createFollowers({ volume, features, owner, log }: Following, everyMs: number | undefined) {
  let timer: NodeJS.Timeout | undefined
  return {
    async begin(): Promise<void> {
      await owner?.begin()
      await volume.begin()
      for (const feature of features) await feature.duty?.begin()
      if (everyMs === undefined) return
      timer = setInterval(() => {
        volume.notice()
        for (const feature of features) feature.onEvents?.([])
      }, everyMs).unref()
    },
    async end(): Promise<void> {
      clearInterval(timer)
      for (const feature of features) await feature.duty?.end()
      await volume.end()
      // Last: until here we write to it.
      await owner?.end().catch((error: unknown) => log.error('volume.not-freed', { error: String(error) }))
    },
  }
}

/** What the features say about who calls and what they may do; nothing where everyone may do everything. */
function createAccess(features: Feature[]): AccessControl | undefined {
  const authorizer = features.find((feature) => feature.authorizer)?.authorizer
  const challenger = features.find((feature) => feature.challenger)?.challenger
  const authenticators = features.flatMap((feature) => feature.authenticators ?? [])
  return authorizer && challenger && createAccessControl({ authenticators, authorizer, challenger })
}

/** A request that failed through us, in the words of registry:2's log. */
function failureOf(error: unknown, message: IncomingMessage): Record<string, unknown> {
  return {
    'http.request.method': message.method,
    'http.request.uri': message.url,
    'http.request.remoteaddr': message.socket.remoteAddress,
    error: textOf(error),
  }
}

const textOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error))

const quick = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

function measureStorage(
  metrics: ReturnType<typeof createMetrics>,
  { storage: { objects } }: Configuration,
): (action: string, seconds: number) => void {
  const names = { s3: 's3aws', azure: 'azure', gcs: 'gcs' } // registry:2's
  const driver = objects ? names[objects.kind] : 'filesystem'
  const help = 'The number of seconds that the storage action takes'
  const tell = metrics.histogram('registry_storage_action_seconds', help, ['action', 'driver'], quick)
  return (action, seconds) => tell([action, driver], seconds)
}

function measureCommits(metrics: ReturnType<typeof createMetrics>): (seconds: number) => void {
  const tell = metrics.histogram(
    'holdfast_database_commit_seconds',
    'How long a transaction took to the disk',
    [],
    quick,
  )
  return (seconds) => tell([], seconds)
}

/** When this machine started. */
export function bootedAt(clock: { now(): Date }): Date {
  return new Date(clock.now().getTime() - uptime() * 1000)
}

interface StoreOptions {
  configuration: Configuration
  clock: { now(): Date }
  onEvents?: (events: RegistryEvent[]) => void
  onCommit?: ((seconds: number) => void) | undefined
  /** Begins with an empty database and keeps the one that is there under another name. */
  anew?: boolean
}

/**
 * Opens what a registry keeps, the bytes first: where they cannot be used, or not be decrypted, nothing is touched.
 * @throws Error that says what to do when it cannot be used or another process has it open
 */
export async function openStores({ configuration, ...options }: StoreOptions): Promise<{
  storage: StorageDriver
  store: SqlStore
}> {
  const open = await openStorage(configuration, options.clock)
  const { encryption } = configuration.storage
  const keyring = await openKeys(configuration, open(noUploadStates), options.clock)
  const database = await openDatabase(configuration, options)
  const store = { ...database, cursors: withTreeAt(database.cursors, placeOf(configuration)) }
  const inner = open(store.uploadStates)
  if (!encryption || !keyring) return { store, storage: inner }
  const { createEncryptedStorage } = await import('./storage/encrypted/driver.ts')
  const { enabled: isOn } = encryption
  const more = { states: store.uploadStates, keyring, isOn, uploads: uploadsPath }
  return { store, storage: createEncryptedStorage({ inner, ...more }) }
}

/** Which storage the tree lies in, when it is not the folder of the database. */
function placeOf({ storage: { objects } }: Configuration): string {
  if (!objects) return ''
  return `${objects.kind} ${objects.kind === 'azure' ? `${objects.serviceUrl} ${objects.container}` : objects.bucket} ${objects.prefix}`
}

/** What keeps the bytes, once it is said where the states of uploads are kept. */
async function openStorage(
  { storage: { root, objects, redirect } }: Configuration,
  clock: { now(): Date },
): Promise<(states: UploadStates) => StorageDriver> {
  if (!objects) {
    const files = createFilesystem(root)
    return () => files
  }
  const { createObjectStorage, openObjects } = await import('./storage/object/open.ts')
  const id = randomUUID
  const store = await openObjects(objects, { id, clock })
  const more = { id, redirect, uploads: uploadsPath, partSize: objects.partSize }
  return (states) => createObjectStorage({ store, states, ...more })
}

/** Opens the keys of a volume that is encrypted, or was once. */
export async function openKeys(
  { storage: { encryption } }: Configuration,
  storage: StorageDriver,
  clock: { now(): Date },
): Promise<Keyring | undefined> {
  if (!encryption) {
    if ((await storage.list(keysPath)).length === 0) return undefined
    throw new Error(
      `Cannot read the blobs: they are encrypted (${keysPath} is there); name their keys in holdfast.storage.encryption.keys, with holdfast.storage.encryption.enabled: false if new ones shall not be`,
    )
  }
  const { openKeyring } = await import('./storage/encrypted/keyring.ts')
  return openKeyring({ storage, keys: encryption.keys, clock, mayMake: encryption.enabled })
}

/** The storage alone, for commands that need no database. */
export async function openStorageAlone(configuration: Configuration, clock: { now(): Date }): Promise<StorageDriver> {
  return (await openStorage(configuration, clock))(noUploadStates)
}

/** Loads only the database that is used. */
async function openDatabase(
  { databaseUrl: url, storage }: Configuration,
  { anew, ...options }: Omit<StoreOptions, 'configuration'>,
): Promise<SqlStore> {
  if (url === undefined) {
    const { createSqliteStore } = await import('./metadata/sqlite/store.ts')
    return createSqliteStore({ folder: join(storage.root, 'holdfast'), anew: anew === true, ...options })
  }
  if (anew)
    throw new Error(
      'holdfast.database.url: a database in PostgreSQL is made anew by naming an empty one; the next start reads the volume into it',
    )
  const { createPostgresStore } = await import('./metadata/postgres/store.ts')
  return createPostgresStore({ url, ...options })
}
