import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { uptime } from 'node:os'
import { apiRoute } from './api/index.ts'
import { type AccessControl, createAccessControl } from './auth/control.ts'
import type { Vault } from './auth/vault.ts'
import type { Configuration } from './config/configuration.ts'
import { createFeatures, type Feature, gateOf } from './features/index.ts'
import { createHttpServer, type Handle } from './http/server.ts'
import { reply, route } from './http/types.ts'
import { createAddressing, createBase } from './listen/addressing.ts'
import type { Address } from './listen/bind.ts'
import { createListener } from './listen/listener.ts'
import { createWatchdog, type Pace } from './listen/watchdog.ts'
import { answerBrokenRequest } from './platform/broken-request.ts'
import { createLedger } from './platform/counters.ts'
import { createDuty } from './platform/duty.ts'
import { createJobs } from './platform/jobs.ts'
import { createFailures } from './platform/failures.ts'
import type { Log } from './platform/log.ts'
import { createMetrics } from './platform/metrics.ts'
import { createAlone, type Member } from './processes/alone.ts'
import { createCounting } from './processes/shared-counters.ts'
import type { RegistryEvent } from './registry/ports/events.ts'
import type { MetadataStore } from './registry/ports/metadata.ts'
import { createRegistry } from './registry/registry.ts'
import { registryRoutes } from './registry/routes.ts'
import { rescuing } from './storage/rescuing.ts'
import { timed } from './storage/timed.ts'
import { openSecrets, openStores } from './stores.ts'
import { createOwner } from './volume/owner.ts'
import { createOtherVolume } from './volume/other-volume.ts'
import { createSharedVolume } from './volume/shared-volume.ts'
import { createVolume, type Volume, type VolumeDeps } from './volume/volume.ts'

export interface AppOptions {
  configuration: Configuration
  log: Log
  clock?: { now(): Date }
  /** Where the access log goes; nowhere by default. */
  writeAccess?: (lines: string) => void
  pace?: Partial<Pace>
  /** What this process has to do with others that serve the same registry on this machine; it is alone by default. */
  member?: Member
}

export interface App {
  metadata: MetadataStore
  /** Gives the addresses that were bound. @throws Error that says what to do */
  listen(): Promise<{ address: Address; debug: Address | undefined }>
  /** Begins to serve connections that are handed over by `take`; gives the address of the debug listener. */
  attend(): Promise<Address | undefined>
  take(socket: Socket): void
  /** Runs the jobs that are due. */
  runJobs(): Promise<void>
  /** Stops accepting, answers what is in flight, then closes; who is still busy after `graceMs` is cut. */
  close(graceMs?: number): Promise<void>
}

/** The only place that makes the parts and puts them together. */
export async function createApp(options: AppOptions): Promise<App> {
  const { configuration, log, clock = systemClock, writeAccess = () => undefined } = options
  const { member = createAlone() } = options
  const { siblings, writer } = member
  const stopping = new AbortController()
  const metrics = configuration.http.debug?.metricsPath === undefined ? undefined : createMetrics()
  const { storage: files, store } = await openStores({
    configuration,
    clock,
    onEvents: (events) => {
      logEvents(events, log)
      volume.notice()
      for (const feature of features) feature.onEvents?.(events)
    },
    onSkew: (ms) => log.warn('clock.skew', { aheadOfDatabaseSeconds: Math.round(ms / 1000), message: skewAdvice }),
    onCommit: metrics && measureCommits(metrics),
    writer,
    lockWaitMs: member.lockWaitMs,
  })
  const driver = metrics ? timed(files, measureStorage(metrics, configuration)) : files
  const storage = rescuing(driver, store.collection)
  const isShared = configuration.databaseUrl !== undefined
  const isRemote = configuration.storage.objects !== undefined
  const kept = { storage, store, log, clock, follow: configuration.storage.followTree, isRemote }
  const volume = createOwnVolume(kept, { isShared, writer })
  // A folder with SQLite in it can be nobody else's.
  const mayBeOthers = siblings.isFirst && (isShared || isRemote)
  const owner = mayBeOthers ? createOwner({ storage, facts: store.volume, log, clock }) : undefined
  const closeAndThrow = async (error: unknown) => {
    await store.close()
    throw error
  }
  await owner?.expectOurs().catch(closeAndThrow)
  const secrets = await openSecrets(configuration, store.vault, clock).catch(closeAndThrow)
  const { metadata } = volume
  const repairFrom =
    configuration.scrub.repairFrom === undefined
      ? undefined
      : (await import('./backup/repair-source.ts')).createRepairSource({ configuration, clock })
  const counting = createCounting({
    own: member.counters ?? createLedger(clock),
    tallies: isShared ? store.tallies : undefined,
    isFirst: siblings.isFirst,
    log,
  })
  const features: Feature[] = await createFeatures(
    {
      ...{ configuration, storage, metadata, volume, log, clock, repairFrom },
      ...{
        vault: store.vault,
        secrets,
        accounts: store.accounts,
        collection: store.collection,
        history: store.history,
      },
      rules: store.rules,
      sizes: store.sizes,
      quotas: store.quotas,
    },
    {
      stopping: stopping.signal,
      metrics,
      siblings,
      counters: counting.counters,
      writeAccess,
      access: () => access,
      baseOf: createBase(configuration.http),
    },
  )
  const access = createAccess(features)
  const registry = createRegistry({
    storage,
    metadata,
    sessions: member.sessions,
    guards: features.flatMap((feature) => feature.guards ?? []),
    lists: configuration.lists,
    access,
    ids: { upload: randomUUID },
    onPull: features.find((feature) => feature.onPull)?.onPull,
    onManifestPull: features.find((feature) => feature.onManifestPull)?.onManifestPull,
  })
  const { vault } = store
  const surface = createSurface({ options, registry, features, access, vault, isFirst: siblings.isFirst })
  // Alone, a node is always the same one: what it held when it crashed is still its own.
  const node = isShared ? member.node : 'alone'
  const upkeep = siblings.isFirst ? createUpkeep({ features, volume, owner, node, isShared, log }) : undefined
  let host: { close(): void } | undefined

  /** Begins all that goes on beside requests; gives the address of the debug listener. */
  async function begin(): Promise<Address | undefined> {
    for (const feature of features) await feature.start?.()
    counting.start()
    await upkeep?.begin()
    if (store.run) host = await member.host({ run: store.run, gate: volume.gate })
    return surface.debug?.listen()
  }

  return {
    metadata,
    listen: async () => ({ debug: await begin(), address: await surface.listener.listen() }),
    async attend() {
      const bound = await begin()
      await surface.listener.attend()
      return bound
    },
    take: surface.listener.take,
    runJobs: async () => upkeep?.runJobs(),
    async close(graceMs = configuration.http.drainMs) {
      stopping.abort()
      await surface.close(graceMs)
      await member.othersEnded // until then they hand in what they write
      host?.close()
      await upkeep?.stopJobs()
      for (const feature of features) await feature.stop?.()
      await upkeep?.end()
      await counting.stop()
      await metadata.close()
      writer?.close()
    },
  }
}

/** What keeps the volume and the database alike: here, on many nodes, or in the process that writes. */
function createOwnVolume(kept: VolumeDeps, { isShared, writer }: { isShared: boolean; writer: Member['writer'] }) {
  if (isShared) return createSharedVolume(kept)
  if (writer) return createOtherVolume(kept.store, kept.storage, writer.gate)
  return createVolume({ ...kept, bootedAt: bootedAt(kept.clock) })
}

interface SurfaceParts {
  options: AppOptions
  registry: ReturnType<typeof createRegistry>
  features: Feature[]
  access: AccessControl | undefined
  vault: Vault
  isFirst: boolean
}

/** What clients reach: the registry's listener, and that for debugging. */
function createSurface({ options, registry, features, access, vault, isFirst }: SurfaceParts) {
  const { log, clock = systemClock } = options
  const { http } = options.configuration
  const tellFailure = createFailures(log)
  const probe = route(
    'GET HEAD',
    '/',
    () => [],
    async () => reply(200, { 'Cache-Control': 'no-cache' }),
  ) // balancers probe it
  const api = apiRoute({
    load: async () => (await Promise.all(features.map((feature) => feature.api?.() ?? []))).flat(),
    session: features.find((feature) => feature.session)?.session,
    access: () => access,
    vault,
    clock,
    onError: (error, requestId) => tellFailure(error, { requestId }),
  })
  const watchdog = createWatchdog(options.pace)
  const onError = (error: unknown, message: IncomingMessage) => tellFailure(error, told(message))
  const handle = createHttpServer({
    routes: [...registryRoutes(registry), probe, api, ...features.flatMap((feature) => feature.routes ?? [])].map(
      (one) => features.reduce((wrapped, feature) => feature.wrap?.(wrapped) ?? wrapped, one),
    ),
    gate: gateOf(features),
    access,
    observers: features.flatMap((feature) => feature.observers ?? []),
    addressing: createAddressing(http),
    watchdog,
    onError,
  })
  const listenOn = (where: Parameters<typeof createListener>[0]['http'], served: Handle) =>
    createListener({
      ...{ http: where, handle: served, refuse: answerBrokenRequest, pace: watchdog.pace },
      ...{ orders: isFirst, log, clock },
    })
  const listener = listenOn(http, handle)
  const debugRoutes = features.flatMap((feature) => feature.debugRoutes ?? [])
  const debug =
    http.debug && isFirst
      ? listenOn(
          { address: http.debug.address, tls: undefined, http2: false, h2c: false },
          createHttpServer({ routes: debugRoutes, watchdog, onError }),
        )
      : undefined
  return {
    listener,
    debug,
    async close(graceMs: number): Promise<void> {
      await listener.close(graceMs)
      await debug?.close(0)
      watchdog.stop()
    },
  }
}

interface UpkeepParts extends Following {
  node: string
  /** Whether other nodes may do the same. */
  isShared: boolean
}

/** What goes on beside requests, in one process of a node. */
function createUpkeep({ node, isShared, ...following }: UpkeepParts) {
  const { features, volume, log } = following
  const parts = { node, metadata: volume.metadata, log }
  const jobs = createJobs(
    features.flatMap((feature) => feature.jobs ?? []),
    parts,
  )
  const followers = createFollowers(following, isShared ? lookMs : undefined)
  const duty = isShared ? createDuty({ name: followersDuty, ...parts, ...followers }) : undefined
  return {
    begin: () => (duty ? duty.start() : followers.begin()),
    runJobs: jobs.look,
    stopJobs: jobs.stop,
    end: () => (duty ? duty.stop() : followers.end()),
  }
}

const skewAdvice =
  'the clocks of this machine and of the database differ: set both by NTP, or moments in history and events are wrong'

const systemClock = { now: () => new Date() }

/** The duty of the one node that reads the event log. */
export const followersDuty = 'followers'

/** How often the log is looked at for what other nodes have recorded. */
const lookMs = 1000

interface Following {
  volume: Volume
  features: Feature[]
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

/** The access log tells of pulls, and whoever found something of alerts. */
function logEvents(events: RegistryEvent[], log: Log): void {
  for (const { type, at: _at, actor, ...fields } of events)
    if (!type.endsWith('.pulled') && type !== 'alert')
      log.info(type, { ...fields, ...(actor.address ? { address: actor.address } : { actor: actor.name }) })
}

/** A request that failed through us, in the words of registry:2's log. */
function told({ method, url, socket }: IncomingMessage): Record<string, unknown> {
  return {
    'http.request.method': method,
    'http.request.uri': url,
    'http.request.remoteaddr': socket.remoteAddress,
  }
}

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
