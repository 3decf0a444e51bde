import type { Configuration } from '../../src/config/configuration.ts'

const minute = 60_000
const hour = 60 * minute

/** What holds where nothing is configured: open, on loopback, in `./data`. */
export function defaultConfiguration(): Configuration {
  return {
    log: { level: 'info', formatter: 'text', fields: {}, access: true },
    http: {
      address: { host: '127.0.0.1', port: 5000 },
      prefix: '/',
      origin: undefined,
      relativeUrls: true,
      drainMs: 30_000,
      headers: {},
      trustedProxies: [],
      http2: true,
      h2c: false,
      tls: undefined,
      debug: undefined,
    },
    storage: {
      root: 'data',
      inMemory: false,
      objects: undefined,
      redirect: true,
      delete: true,
      readOnly: false,
      uploadPurge: { enabled: true, ageMs: 168 * hour, intervalMs: 24 * hour, dryRun: false },
      followTree: true,
      reserve: { bytes: 2 ** 30, percent: 2 },
      encryption: undefined,
    },
    databaseUrl: undefined,
    secretKeys: [],
    auth: undefined,
    tokens: undefined,
    workloadIdentity: [],
    rateLimits: {
      pulls: { anonymous: undefined, signedIn: undefined, organizations: [], windowMs: 6 * hour, exempt: [] },
      failedLogins: { address: undefined, windowMs: 10 * minute },
    },
    outgoing: { allow: [] },
    access: undefined,
    admin: undefined,
    audit: { keepMs: 365 * 24 * hour },
    collection: { enabled: true, graceMs: 24 * hour, fusePercent: 50, untagged: false, keepPulledMs: 30 * 24 * hour },
    scrub: { repairFrom: undefined, endpoint: undefined, region: 'us-east-1' },
    trash: { keepMs: 7 * 24 * hour },
    immutability: [],
    quotas: [],
    retention: { intervalMs: 24 * hour, labels: true, rules: [] },
    ldap: undefined,
    openid: undefined,
    clientCertificates: [],
    health: { storage: { enabled: false, intervalMs: 10_000, threshold: 1 }, files: [], http: [], tcp: [] },
    notifications: { includeReferences: false, version: 'v2', alerts: false, endpoints: [] },
    runAsOwner: false,
    processes: 'auto',
    lists: { catalogMax: 1000, tagsMax: 10_000 },
    validation: { urls: undefined, indexPlatforms: 'all' },
  }
}
