import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { Operation } from '../api/operation.ts'
import type { AccessControl } from '../auth/control.ts'
import type { Authenticator, Authorizer, Challenger, Principal } from '../auth/types.ts'
import type { Secrets, Vault } from '../auth/vault.ts'
import type { Configuration } from '../config/configuration.ts'
import type { AccountFacts } from '../metadata/account-facts.ts'
import type { CollectionFacts } from '../metadata/collection-facts.ts'
import type { HistoryFacts } from '../metadata/history-facts.ts'
import type { RuleFacts } from '../metadata/rule-facts.ts'
import type { Gate, HttpRequest, Observer, Route } from '../http/types.ts'
import type { QuotaFacts } from '../metadata/quota-facts.ts'
import type { SizeFacts } from '../metadata/size-facts.ts'
import type { Job } from '../platform/jobs.ts'
import type { Counters } from '../platform/counters.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Log } from '../platform/log.ts'
import type { Siblings } from '../platform/siblings.ts'
import type { Digest } from '../oci/digest.ts'
import type { Actor, Happening, RegistryEvent } from '../registry/ports/events.ts'
import type { Guard } from '../registry/ports/guard.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'

/** What a feature is given. */
export interface Platform {
  configuration: Configuration
  storage: StorageDriver
  metadata: MetadataStore
  vault: Vault
  /** For keys and the like: what whoever reads the database must not have. */
  secrets: Secrets
  accounts: AccountFacts
  collection: CollectionFacts
  history: HistoryFacts
  rules: RuleFacts
  sizes: SizeFacts
  quotas: QuotaFacts
  /** Resolves when all is known that the volume holds, with whether that could be. */
  volume: { passed(): Promise<boolean> }
  /** Good bytes of a blob, where somebody has them; nobody has checked them. Undefined when there is no such place. */
  repairFrom?: ((digest: Digest) => Promise<Readable | undefined>) | undefined
  log: Log
  clock: { now(): Date }
}

/** What only features that look after the serving itself are given. */
export interface Serving {
  /** Aborted when the registry begins to stop. */
  stopping: AbortSignal
  /** Undefined when nobody reads them: then nothing is counted. */
  metrics: Metrics | undefined
  /** The other processes that serve as this one does. */
  siblings: Siblings
  /** What these processes count together. */
  counters: Counters
  /** Where the access log goes. */
  writeAccess(lines: string): void
  /** Who calls and what they may do; undefined where everyone may do everything. Asked while serving, not before. */
  access(): AccessControl | undefined
  /** What stands before the paths of this registry, as whoever sent the request calls it: `https://registry.example.com`. */
  baseOf(message: IncomingMessage): string
}

/** What a feature plugs in; everything is optional. */
export interface Feature {
  name: string
  routes?: Route[]
  /** Puts itself around an endpoint of anybody's; gives those as they are that are none of its business. */
  wrap?(route: Route): Route
  /** Endpoints of the debug listener, which is another address than the registry's. */
  debugRoutes?: Route[]
  /** Operations of the management API; loaded with its first request. */
  api?(): Promise<Operation[]>
  /**
   * Whose session a browser's request to the management API is of. @throws OciError DENIED where a page of another site had it sent
   */
  session?(request: HttpRequest<unknown>): Promise<Principal | undefined>
  /** Asked of every request. */
  gates?: Gate[]
  /** Told of every request. */
  observers?: Observer[]
  guards?: Guard[]
  authenticators?: Authenticator[]
  /** At most one feature decides who may do what. */
  authorizer?: Authorizer
  /** The first feature that has one asks for credentials. */
  challenger?: Challenger
  jobs?: Job[]
  /** Told about events right after their commit. What must not be missed is read from the log instead, by a cursor. */
  onEvents?(events: RegistryEvent[]): void
  /** Told about each pull; must not keep it waiting. */
  onPull?(pull: Happening, actor: Actor): void
  /** Told which manifest, and no more, of each pull: this costs next to nothing. */
  onManifestPull?(repository: string, digest: Digest): void
  /** What goes on all the time on one node of all, such as reading the event log: it may end and begin again. */
  duty?: { begin(): Promise<void>; end(): Promise<void> }
  /** Before the first request; what it throws keeps the registry from starting. */
  start?(): Promise<void>
  /** After the last request. */
  stop?(): Promise<void> | void
}
