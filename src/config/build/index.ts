import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Configuration, HealthConfiguration, NotificationEndpoint } from '../configuration.ts'
import { buildClientCertificates } from './client-certificates.ts'
import { buildEncryption, buildSecretKeys } from './encryption.ts'
import { buildHttp } from './http.ts'
import { buildObjectStore } from './object-stores.ts'
import { buildImmutability, buildQuotas, buildRetention } from './rules.ts'
import { buildAuth, buildLdap, buildOutgoing, buildRateLimits, buildTokens, buildWorkloadIdentity } from './sign-in.ts'
import { buildOpenId } from './openid.ts'
import type { Problems } from '../problems.ts'
import type { Reading } from '../read.ts'
import { type Build, createBuild, withoutGaps, withoutUndefined } from './tools.ts'

/** Makes the typed configuration of what was read, and reports what does not go together. */
export function buildConfiguration(reading: Reading, problems: Problems, id: () => string): Configuration {
  const build = createBuild(reading, problems)
  const { values } = reading
  const { storage, log, holdfast } = values
  const { uploadpurging, readonly } = storage.maintenance
  const encryption = buildEncryption(build)
  return {
    log: {
      level: log.level,
      formatter: log.formatter,
      fields: Object.fromEntries(Object.entries(log.fields).flatMap(([name, text]) => (text ? [[name, text]] : []))),
      access: !log.accesslog.disabled,
    },
    http: buildHttp(build),
    storage: {
      root: storage.inmemory
        ? join(tmpdir(), `holdfast-${id()}`)
        : resolve(storage.filesystem?.rootdirectory ?? holdfast.data),
      inMemory: storage.inmemory !== undefined,
      objects: buildObjectStore(build),
      redirect: !storage.redirect.disable,
      delete: storage.delete.enabled,
      readOnly: readonly.enabled,
      uploadPurge: {
        enabled: uploadpurging.enabled,
        ageMs: uploadpurging.age,
        intervalMs: uploadpurging.interval,
        dryRun: uploadpurging.dryrun,
      },
      followTree: holdfast.storage.followtree && !encryption,
      reserve: holdfast.storage.reserve,
      encryption,
    },
    databaseUrl: holdfast.database.url,
    secretKeys: buildSecretKeys(build),
    auth: buildAuth(build),
    tokens: buildTokens(build),
    workloadIdentity: buildWorkloadIdentity(build),
    rateLimits: buildRateLimits(build),
    outgoing: buildOutgoing(build),
    access: holdfast.access,
    admin: buildAdmin(build),
    audit: { keepMs: holdfast.audit.keep },
    collection: {
      enabled: holdfast.gc.enabled,
      graceMs: holdfast.gc.grace,
      fusePercent: holdfast.gc.fuse,
      untagged: holdfast.gc.untagged,
      keepPulledMs: holdfast.gc.keeppulled,
    },
    scrub: {
      repairFrom: holdfast.scrub.repairfrom,
      endpoint: holdfast.scrub.endpoint,
      region: holdfast.scrub.region,
    },
    trash: { keepMs: holdfast.trash.keep },
    immutability: buildImmutability(build),
    quotas: buildQuotas(build),
    retention: buildRetention(build),
    ldap: buildLdap(build),
    openid: buildOpenId(build),
    clientCertificates: buildClientCertificates(build),
    health: buildHealth(build),
    notifications: {
      includeReferences: values.notifications.events.includereferences,
      version: holdfast.notifications.version,
      alerts: holdfast.notifications.alerts,
      endpoints: buildEndpoints(build),
    },
    runAsOwner: holdfast.runasowner,
    processes: holdfast.processes,
    lists: { catalogMax: values.catalog.maxentries, tagsMax: values.tags.maxtags },
    validation: buildValidation(build),
  }
}

function buildAdmin({ reading, missing, error }: Build): Configuration['admin'] {
  const { user, password, passwordfile } = reading.values.holdfast.admin
  const at = 'holdfast.admin'
  if (user === undefined && password === undefined && passwordfile === undefined) return undefined
  if (user === undefined) missing(`${at}.user`, 'the name of the administrator')
  if (password !== undefined && passwordfile !== undefined)
    error(`${at}.password`, 'stands beside passwordfile: expected one of them')
  if (password === undefined && passwordfile === undefined)
    missing(`${at}.password`, 'its password, or the file that holds it in passwordfile')
  const given = passwordfile === undefined ? { text: password ?? '' } : { file: resolve(passwordfile) }
  return user === undefined ? undefined : { user, password: given }
}

function buildHealth({ reading, missing }: Build): HealthConfiguration {
  const { storagedriver, file, http, tcp } = reading.values.health
  return {
    storage: { enabled: storagedriver.enabled, intervalMs: storagedriver.interval, threshold: storagedriver.threshold },
    files: file.flatMap(({ file, interval }, index) =>
      file
        ? [{ path: resolve(file), intervalMs: interval }]
        : (missing(`health.file.${index}.file`, 'the path of a file'), []),
    ),
    http: http.flatMap(({ uri, statuscode, headers, timeout, interval, threshold }, index) =>
      uri
        ? [
            {
              url: uri,
              status: statuscode,
              headers: withoutGaps(headers),
              timeoutMs: timeout,
              intervalMs: interval,
              threshold,
            },
          ]
        : (missing(`health.http.${index}.uri`, 'a URL'), []),
    ),
    tcp: tcp.flatMap(({ addr, timeout, interval, threshold }, index) =>
      addr
        ? [{ ...addr, timeoutMs: timeout, intervalMs: interval, threshold }]
        : (missing(`health.tcp.${index}.addr`, 'HOST:PORT'), []),
    ),
  }
}

function buildEndpoints({ reading, missing }: Build): NotificationEndpoint[] {
  return reading.values.notifications.endpoints.flatMap((endpoint, index) => {
    if (endpoint.disabled) return []
    const { url, timeout, threshold, backoff, ignoredmediatypes, ignore } = endpoint
    if (!url) {
      missing(`notifications.endpoints.${index}.url`, 'where to post the events')
      return []
    }
    return [
      {
        name: endpoint.name ?? new URL(url).host,
        url,
        headers: withoutGaps(endpoint.headers),
        timeoutMs: timeout,
        threshold,
        backoffMs: backoff,
        ignore: {
          mediaTypes: withoutUndefined([...ignoredmediatypes, ...ignore.mediatypes]),
          actions: withoutUndefined(ignore.actions),
        },
      },
    ]
  })
}

function buildValidation({ reading, error }: Build): Configuration['validation'] {
  const { disabled, enabled, manifests } = reading.values.validation
  if (disabled && !enabled) return { urls: undefined, indexPlatforms: 'none' }
  const allow = withoutUndefined(manifests.urls.allow)
  const deny = withoutUndefined(manifests.urls.deny)
  let urls: Configuration['validation']['urls']
  // Without a list registry:2 allows none at all; here that must be asked for.
  if (allow.length + deny.length > 0) urls = { allow: allow.length > 0 ? allow : [/^/], deny }
  else if (enabled) urls = { allow: [/^$/], deny: [] }
  const { platforms, platformlist } = manifests.indexes
  const listed = platformlist.flatMap(({ architecture, os }, index) => {
    if (architecture && os) return [{ architecture, os }]
    error(`validation.manifests.indexes.platformlist.${index}`, 'needs both architecture and os')
    return []
  })
  return { urls, indexPlatforms: platforms === 'list' ? listed : platforms }
}
