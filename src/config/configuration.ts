import type { LogLevel } from '../platform/log.ts'
import type { ImmutabilityRule } from '../rules/immutability.ts'
import type { QuotaRule } from '../rules/quotas.ts'
import type { RetentionRule } from '../rules/retention.ts'

/**
 * What the configuration says, read once at the start: every key of registry:2's and registry:3's file that this version honours,
 * under one name and with its default filled in. Durations are milliseconds. `schema.ts` says where each comes from.
 */
export interface Configuration {
  log: {
    level: LogLevel
    formatter: 'text' | 'json' | 'logstash'
    /** Added to each line of the log. */
    fields: Record<string, string>
    /** Whether each request is logged as Combined Log Format on standard output. */
    access: boolean
  }
  http: HttpConfiguration
  storage: {
    /** The folder that holds `docker/` and `holdfast/`; with an object store `holdfast/` alone; thrown away with `inmemory`. */
    root: string
    inMemory: boolean
    /** Where `docker/` lies instead, and what is on its way in. */
    objects: ObjectStoreConfiguration | undefined
    /** Whether clients are sent to the object store for blobs. */
    redirect: boolean
    /** Whether clients may delete. */
    delete: boolean
    readOnly: boolean
    uploadPurge: { enabled: boolean; ageMs: number; intervalMs: number; dryRun: boolean }
    /** Whether registry:2's tree of links follows every change, so that the volume can be given back at any time. */
    followTree: boolean
    /** What uploads leave free of the disk: the lesser of the two; 0 bytes: nothing. */
    reserve: { bytes: number; percent: number }
    /** Undefined where no keys are given; see `storage/encrypted`. */
    encryption: EncryptionConfiguration | undefined
  }
  /** The URL of a PostgreSQL database that holds the facts; undefined: SQLite in the folder of the images. */
  databaseUrl: string | undefined
  /** What wraps the keys of secrets in the database, the first new ones; none: secrets lie there in plain. */
  secretKeys: WrappingKey[]
  auth: AuthConfiguration | undefined
  /** The token service; undefined: off. */
  tokens: TokensConfiguration | undefined
  workloadIdentity: WorkloadIdentityRule[]
  rateLimits: RateLimitsConfiguration
  /** Networks that are not public and may be asked nevertheless. */
  outgoing: { allow: string[] }
  /** What everybody may do; undefined: nothing where there are accounts or `auth`, else everything. */
  access: 'open' | 'public-read' | 'closed' | undefined
  /** The first administrator. */
  admin: { user: string; password: { text: string } | { file: string } } | undefined
  audit: { keepMs: number }
  /** What nothing refers to is collected. */
  collection: { enabled: boolean; graceMs: number; fusePercent: number; untagged: boolean; keepPulledMs: number }
  /** How long what was deleted can be restored. */
  /** Where good bytes of damaged blobs are taken from: a backup, see `backup/place.ts`. */
  scrub: { repairFrom: string | undefined; endpoint: string | undefined; region: string }
  trash: { keepMs: number }
  /** Tags that do not change; more rules are kept in the database. */
  immutability: ImmutabilityRule[]
  /** What organizations and repositories may store; more limits are kept in the database. */
  quotas: QuotaRule[]
  /** What goes after a while; `labels`: also by what an image says of itself. */
  retention: { intervalMs: number; labels: boolean; rules: RetentionRule[] }
  ldap: LdapConfiguration | undefined
  openid: OpenIdConfiguration | undefined
  clientCertificates: ClientCertificateRule[]
  health: HealthConfiguration
  notifications: {
    includeReferences: boolean
    /** The content type registry:2 (v1) or registry:3 (v2) sends. */
    version: 'v1' | 'v2'
    /** Whether they are told of what an operator must know, too. */
    alerts: boolean
    endpoints: NotificationEndpoint[]
  }
  /** Whether a process of root goes on as the owner of the volume, as the image does. */
  runAsOwner: boolean
  /** How many processes serve; `auto`: as many as the machine has use for. */
  processes: number | 'auto'
  /** The most entries a page of a list may have. */
  lists: { catalogMax: number; tagsMax: number }
  validation: {
    /** Patterns for the `urls` of layers; undefined: any. */
    urls: { allow: RegExp[]; deny: RegExp[] } | undefined
    /** Which children of an index must be there: all, none, or those for one of these platforms. */
    indexPlatforms: 'all' | 'none' | { architecture: string; os: string }[]
  }
}

export interface EncryptionConfiguration {
  /** Whether new blobs are encrypted; those that are stay readable in any case. */
  enabled: boolean
  /** At least one; the first wraps. */
  keys: WrappingKey[]
}

/** A key that only wraps other keys, by its name. */
export type WrappingKey = { id: string } & (
  | { kind: 'key'; key: string }
  | { kind: 'file'; path: string }
  | { kind: 'command'; command: string[] }
)

export type ObjectStoreConfiguration = S3Configuration | AzureConfiguration | GcsConfiguration

/** A bucket of Google Cloud Storage; see `storage/object/gcs`. */
export interface GcsConfiguration {
  kind: 'gcs'
  bucket: string
  endpoint: string
  credentials:
    | { kind: 'file'; path: string }
    | { kind: 'key'; key: { client_email: string; private_key: string } }
    | { kind: 'default' }
    | { kind: 'none' }
  prefix: string
  /** Bytes of the first parts of an upload. */
  partSize: number
}

/** A container of Azure Blob Storage; see `storage/object/azure`. */
export interface AzureConfiguration {
  kind: 'azure'
  account: string
  container: string
  serviceUrl: string
  credentials:
    | { kind: 'key'; key: string }
    | { kind: 'sas'; query: string }
    | { kind: 'client'; tenantId: string; clientId: string; secret: string }
    | { kind: 'default' }
  prefix: string
  skipVerify: boolean
  /** Bytes of the first parts of an upload. */
  partSize: number
  patience: { attempts: number; pauseMs: number }
}

/** An S3 bucket; see `storage/object/s3`. */
export interface S3Configuration {
  kind: 's3'
  bucket: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined
  regionEndpoint: string | undefined
  redirectEndpoint: string | undefined
  pathStyle: boolean
  secure: boolean
  skipVerify: boolean
  prefix: string
  encryption: { keyId: string | undefined } | undefined
  storageClass: string | undefined
  acl: string | undefined
  /** Bytes of the first parts of an upload. */
  partSize: number
  multipartCopy: { threshold: number; size: number; concurrency: number }
  accelerate: boolean
  dualStack: boolean
  fips: boolean
  userAgent: string | undefined
}

export interface HttpConfiguration {
  /** A TCP address or the path of a unix socket. */
  address: { host: string; port: number } | { path: string }
  /** Starts and ends with a slash. */
  prefix: string
  /** `https://registry.example.com`: what absolute URLs begin with; undefined: as the request came. */
  origin: string | undefined
  /** Whether `Location` is a path; it is relative to the request's host otherwise. */
  relativeUrls: boolean
  /** How long requests in flight may take when the registry stops. */
  drainMs: number
  /** Added to every answer under `/v2/`. */
  headers: Record<string, string[]>
  /** Addresses (CIDR) of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed. */
  trustedProxies: string[]
  http2: boolean
  h2c: boolean
  tls: TlsConfiguration | undefined
  debug: { address: { host: string; port: number }; metricsPath: string | undefined } | undefined
}

export interface TlsConfiguration {
  source:
    | { certificate: string; key: string }
    | {
        /** Let's Encrypt, or another ACME directory. */
        acme: { directoryUrl: string; hosts: string[]; email: string | undefined; cacheFolder: string }
      }
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  cipherSuites: string[]
  /** Files with certificates of those who may sign a client's. */
  clientCas: string[]
  clientAuth: 'request' | 'require-any' | 'verify-if-given' | 'require-and-verify'
}

export type AuthConfiguration = HtpasswdConfiguration | SillyConfiguration | OutsideTokensConfiguration

export interface HtpasswdConfiguration {
  kind: 'htpasswd'
  realm: string
  path: string
}

/** registry:2's own toy: any `Authorization` header passes. */
export interface SillyConfiguration {
  kind: 'silly'
  realm: string
  service: string
}

/** registry:2's `auth.token`: tokens of another issuer. */
export interface OutsideTokensConfiguration {
  kind: 'token'
  realm: string
  service: string
  issuer: string
  /** Files: certificates (PEM), and keys as JWKS. */
  certificates: string | undefined
  jwks: string | undefined
  /** Undefined: all that are sound. */
  algorithms: string[] | undefined
  /** Clients fetch tokens at this path under the name they call us by, instead of `realm`. */
  redirectPath: string | undefined
}

export interface TokensConfiguration {
  /** Undefined: our own `/token`. */
  realm: string | undefined
  service: string
  issuer: string
  /** Other registries that tokens are issued for. */
  services: string[]
  lifeMs: number
  /** Whether `docker login` is given a refresh token. */
  offline: boolean
}

/** Whom a token of another issuer stands for. */
export interface WorkloadIdentityRule {
  name: string
  issuer: string
  audiences: string[]
  /** The file with the issuer's keys; undefined: they are fetched. */
  jwks: string | undefined
  /** All must hold, each by one of its values, which may be patterns. */
  conditions: { claim: string; values: string[] }[]
  robot: string | undefined
  /** None: what the robot may. */
  grants: { repository: string; actions: ('pull' | 'push' | 'delete')[] }[]
  lifeMs: number
}

/** Users of an LDAP server. */
export interface LdapConfiguration {
  url: string
  startTls: boolean
  /** A file with the certificates of those who sign the server's. */
  ca: string | undefined
  /** As whom entries are looked for; undefined: nobody. */
  bind: { dn: string; password: { text: string } | { file: string } } | undefined
  base: string
  /** With `{user}`. */
  userFilter: string
  /** Undefined: nobody looks for groups. */
  groupBase: string | undefined
  /** With `{dn}` or `{user}`. */
  groupFilter: string
  /** What is in a group belongs to a team, `ORGANIZATION/TEAM`, or administers. */
  groups: { group: string; team: string | undefined; administrator: boolean }[]
  timeoutMs: number
}

/** A provider of OpenID Connect whose users sign in here. */
export interface OpenIdConfiguration {
  issuer: string
  clientId: string
  /** Undefined: a public client, by PKCE alone. */
  clientSecret: { text: string } | { file: string } | undefined
  scopes: string[]
  /** The claim that names the account, and the one that lists groups. */
  usernameClaim: string
  groupsClaim: string
  /** As with LDAP. */
  groups: LdapConfiguration['groups']
}

/** Whom a client's certificate stands for. */
export interface ClientCertificateRule {
  /** Which of its names is looked at. */
  field: 'commonname' | 'dns' | 'uri' | 'email'
  /** With one `*` at most. */
  pattern: string
  /** A user or robot; `*` is what that of the pattern stood for. */
  account: string
}

/** Undefined: any number. */
export interface RateLimitsConfiguration {
  pulls: {
    anonymous: number | undefined
    signedIn: number | undefined
    /** How much all who belong to one may together, beside their own limits. */
    organizations: { name: string; limit: number }[]
    windowMs: number
    exempt: string[]
  }
  failedLogins: { address: number | undefined; windowMs: number }
}

export interface HealthConfiguration {
  storage: { enabled: boolean; intervalMs: number; threshold: number }
  /** A file whose presence makes the registry unhealthy. */
  files: { path: string; intervalMs: number }[]
  http: {
    url: string
    status: number
    headers: Record<string, string[]>
    timeoutMs: number
    intervalMs: number
    threshold: number
  }[]
  tcp: { host: string; port: number; timeoutMs: number; intervalMs: number; threshold: number }[]
}

export interface NotificationEndpoint {
  name: string
  url: string
  headers: Record<string, string[]>
  timeoutMs: number
  threshold: number
  backoffMs: number
  ignore: { mediaTypes: string[]; actions: string[] }
}
