import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'
import { loadText, withConfigFile } from '../../test/support/config-file.ts'
import type { Configuration } from './configuration.ts'
import { defaultConfiguration } from '../../test/support/defaults.ts'
import { loadConfiguration, type Sources } from './load.ts'

/** What stands in the file, and what the configuration holds then. */
const rows: [text: string, pick: (configuration: Configuration) => unknown, expected: unknown][] = [
  ['log: {level: DEBUG}', ({ log }) => log.level, 'debug'],
  ['loglevel: warn', ({ log }) => log.level, 'warn'],
  ['loglevel: warn\nlog: {level: error}', ({ log }) => log.level, 'error'],
  ['log: {formatter: logstash}', ({ log }) => log.formatter, 'logstash'],
  ['log: {fields: {service: registry, build: 1.10}}', ({ log }) => log.fields, { service: 'registry', build: '1.10' }],
  ['log: {accesslog: {disabled: yes}}', ({ log }) => log.access, false],
  ['', ({ log }) => log.access, true],

  ['', ({ http }) => http.address, { host: '::', port: 5000 }],
  ['http: {addr: "localhost:5001"}', ({ http }) => http.address, { host: 'localhost', port: 5001 }],
  ['http: {addr: "[::1]:80"}', ({ http }) => http.address, { host: '::1', port: 80 }],
  ['http: {net: unix, addr: /run/r.sock}', ({ http }) => http.address, { path: '/run/r.sock' }],
  ['http: {prefix: /a/b/}', ({ http }) => http.prefix, '/a/b/'],
  ['http: {prefix: ""}', ({ http }) => http.prefix, '/'],
  ['', ({ http }) => [http.origin, http.relativeUrls], [undefined, true]],
  ['http: {relativeurls: false}', ({ http }) => [http.origin, http.relativeUrls], [undefined, false]],
  ['http: {host: "https://r.test"}', ({ http }) => [http.origin, http.relativeUrls], ['https://r.test', false]],
  ['http: {host: "http://r.test:80", relativeurls: true}', ({ http }) => http.origin, 'http://r.test'],
  ['http: {draintimeout: 1h30m}', ({ http }) => http.drainMs, 5_400_000],
  ['http: {draintimeout: 0}', ({ http }) => http.drainMs, 0],
  ['http: {draintimeout: 1.5s}', ({ http }) => http.drainMs, 1500],
  ['http: {draintimeout: 2000000000}', ({ http }) => http.drainMs, 2000],
  ['http: {headers: {X-A: [b, c], X-B: d}}', ({ http }) => http.headers, { 'X-A': ['b', 'c'], 'X-B': ['d'] }],
  ['http: {http2: {disabled: true}, h2c: {enabled: on}}', ({ http }) => [http.http2, http.h2c], [false, true]],
  ['', ({ http }) => [http.http2, http.h2c, http.tls, http.debug], [true, false, undefined, undefined]],
  [
    'http: {debug: {addr: ":5001", prometheus: {enabled: true, path: /m}}}',
    ({ http }) => http.debug,
    { address: { host: '::', port: 5001 }, metricsPath: '/m' },
  ],
  [
    'http: {debug: {addr: "localhost:5001"}}',
    ({ http }) => http.debug,
    { address: { host: 'localhost', port: 5001 }, metricsPath: undefined },
  ],
  ['http: {debug: {prometheus: {enabled: true}}}', ({ http }) => http.debug, undefined],
  [
    'http: {tls: {certificate: /c.pem, key: /k.pem}}',
    ({ http }) => http.tls,
    {
      source: { certificate: '/c.pem', key: '/k.pem' },
      minVersion: 'TLSv1.2',
      cipherSuites: [],
      clientCas: [],
      clientAuth: 'require-and-verify',
    },
  ],
  [
    'http: {tls: {certificate: /c, key: /k, clientcas: [/ca], clientauth: verify-client-cert-if-given, minimumtls: tls1.3}}',
    ({ http }) => [http.tls?.clientCas, http.tls?.clientAuth, http.tls?.minVersion],
    [['/ca'], 'verify-if-given', 'TLSv1.3'],
  ],
  [
    'http: {tls: {certificate: /c, key: /k, ciphersuites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]}}',
    ({ http }) => http.tls?.cipherSuites,
    ['TLS_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-SHA'],
  ],
  [
    'http: {tls: {letsencrypt: {cachefile: /acme, email: a@b.test, hosts: [r.test]}}}',
    ({ http }) => http.tls?.source,
    {
      acme: {
        directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory',
        hosts: ['r.test'],
        email: 'a@b.test',
        cacheFolder: '/acme',
      },
    },
  ],
  ['http: {tls: {certificate: "", key: ""}}', ({ http }) => http.tls, undefined],

  ['', ({ storage }) => [storage.root, storage.delete], ['/var/lib/registry', false]],
  ['storage: filesystem', ({ storage }) => storage.root, '/var/lib/registry'],
  ['storage: {filesystem: {rootdirectory: /srv}}', ({ storage }) => storage.root, '/srv'],
  ['storage: {filesystem: }', ({ storage }) => storage.root, '/var/lib/registry'],
  ['storage: {delete: {enabled: "true"}}', ({ storage }) => storage.delete, true],
  ['storage: {maintenance: {readonly: {enabled: "true"}}}', ({ storage }) => storage.readOnly, true],
  [
    'storage: {maintenance: {uploadpurging: {enabled: true, age: 1h, interval: 2h, dryrun: yes}}}',
    ({ storage }) => storage.uploadPurge,
    { enabled: true, ageMs: 3_600_000, intervalMs: 7_200_000, dryRun: true },
  ],
  [
    'storage: {maintenance: {uploadpurging: {enabled: off}}}',
    ({ storage }) => storage.uploadPurge,
    { ...defaultConfiguration().storage.uploadPurge, enabled: false },
  ],

  ['', ({ auth }) => auth, undefined],
  ['auth: none', ({ auth }) => auth, undefined],
  [
    'auth: {htpasswd: {realm: R, path: /htpasswd}}',
    ({ auth }) => auth,
    { kind: 'htpasswd', realm: 'R', path: '/htpasswd' },
  ],
  ['auth: {silly: {realm: R, service: S}}', ({ auth }) => auth, { kind: 'silly', realm: 'R', service: 'S' }],

  [
    'health: {storagedriver: {enabled: true, interval: 5s, threshold: 3}}',
    ({ health }) => health.storage,
    { enabled: true, intervalMs: 5000, threshold: 3 },
  ],
  [
    'health: {storagedriver: {enabled: true, interval: 0, threshold: 0}}',
    ({ health }) => health.storage,
    { enabled: true, intervalMs: 10_000, threshold: 1 },
  ],
  [
    'health: {file: [{file: /down, interval: 1s}], tcp: [{addr: "db:5432", timeout: 3s, threshold: 2}]}',
    ({ health: { files, tcp } }) => [files, tcp],
    [
      [{ path: '/down', intervalMs: 1000 }],
      [{ host: 'db', port: 5432, timeoutMs: 3000, intervalMs: 10_000, threshold: 2 }],
    ],
  ],
  [
    'health: {http: [{uri: "http://a.test/", statuscode: 204, headers: {X-A: [b]}, timeout: 1s}]}',
    ({ health }) => health.http,
    [
      {
        url: 'http://a.test/',
        status: 204,
        headers: { 'X-A': ['b'] },
        timeoutMs: 1000,
        intervalMs: 10_000,
        threshold: 1,
      },
    ],
  ],

  ['notifications: {events: {includereferences: true}}', ({ notifications: n }) => n.includeReferences, true],
  [
    'notifications:\n  endpoints:\n' +
      '    - {name: a, url: "http://a.test/", headers: {Authorization: [x]}, timeout: 2s, threshold: 3, backoff: 4s,\n' +
      '       ignoredmediatypes: [m/1], ignore: {mediatypes: [m/2], actions: [pull]}}\n' +
      '    - {name: b, disabled: true, url: "http://b.test/"}\n' +
      '    - {url: "http://c.test:81/x"}\n',
    ({ notifications }) => notifications.endpoints,
    [
      {
        name: 'a',
        url: 'http://a.test/',
        headers: { Authorization: ['x'] },
        timeoutMs: 2000,
        threshold: 3,
        backoffMs: 4000,
        ignore: { mediaTypes: ['m/1', 'm/2'], actions: ['pull'] },
      },
      {
        name: 'c.test:81',
        url: 'http://c.test:81/x',
        headers: {},
        timeoutMs: 1000,
        threshold: 10,
        backoffMs: 1000,
        ignore: { mediaTypes: [], actions: [] },
      },
    ],
  ],

  ['catalog: {maxentries: 5}\ntags: {maxtags: 0x10}', ({ lists }) => lists, { catalogMax: 5, tagsMax: 16 }],
  ['', ({ validation }) => validation, { urls: undefined, indexPlatforms: 'all' }],
  ['validation: {disabled: true}', ({ validation }) => validation, { urls: undefined, indexPlatforms: 'none' }],
  ['validation: {enabled: true}', ({ validation }) => validation.urls, { allow: [/^$/], deny: [] }],
  [
    'validation: {manifests: {urls: {allow: ["(?i)^https?://"], deny: ["\\\\.test/"]}}}',
    ({ validation }) => validation.urls,
    { allow: [/^https?:\/\//i], deny: [/\.test\//] },
  ],
  ['validation: {manifests: {urls: {deny: [x]}}}', ({ validation }) => validation.urls, { allow: [/^/], deny: [/x/] }],
  ['validation: {manifests: {indexes: {platforms: None}}}', ({ validation }) => validation.indexPlatforms, 'none'],
  [
    'validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}}}',
    ({ validation }) => validation.indexPlatforms,
    [{ architecture: 'amd64', os: 'linux' }],
  ],

  ['holdfast: {http: {trustedproxies: [10.0.0.0/8, "::1"]}}', ({ http }) => http.trustedProxies, ['10.0.0.0/8', '::1']],
  [
    'auth: {token: {realm: r, issuer: i, service: my registry, rootcertbundle: /c, signingalgorithms: [ES256]}}',
    ({ auth }) => auth,
    {
      kind: 'token',
      realm: 'r',
      service: 'my registry',
      issuer: 'i',
      certificates: '/c',
      jwks: undefined,
      algorithms: ['ES256'],
      redirectPath: undefined,
    },
  ],
  [
    'auth: {token: {issuer: i, service: s, jwks: /j, autoredirect: true, autoredirectpath: sign/in}}',
    ({ auth }) => auth?.kind === 'token' && [auth.jwks, auth.algorithms, auth.redirectPath],
    ['/j', undefined, '/sign/in'],
  ],
  ['auth: {htpasswd: {path: /h}}', ({ tokens, workloadIdentity }) => [tokens, workloadIdentity], [undefined, []]],
  [
    'auth: {htpasswd: {path: /h}}\nholdfast: {tokens: {enabled: true, services: [a, b], offline: true}}',
    ({ tokens }) => tokens,
    { realm: undefined, service: 'holdfast', issuer: 'holdfast', services: ['a', 'b'], lifeMs: 300_000, offline: true },
  ],
  [
    'http: {host: "https://r.test"}\nauth: {htpasswd: {path: /h}}\nholdfast: {workloadidentity: [{name: n, issuer: "https://i.test", claims: {repository_id: 5, ref: [a, b]}, grants: [{repository: "a/*", actions: [pull]}]}]}',
    ({ workloadIdentity }) => workloadIdentity,
    [
      {
        name: 'n',
        issuer: 'https://i.test',
        audiences: ['https://r.test'],
        jwks: undefined,
        conditions: [
          { claim: 'repository_id', values: ['5'] },
          { claim: 'ref', values: ['a', 'b'] },
        ],
        robot: undefined,
        grants: [{ repository: 'a/*', actions: ['pull'] }],
        lifeMs: 3_600_000,
      },
    ],
  ],
  [
    'holdfast: {ratelimits: {pulls: {anonymous: 100, organizations: [{name: acme, pulls: 7}], exempt: [ci]}}}',
    ({ rateLimits }) => rateLimits.pulls,
    {
      ...{ anonymous: 100, signedIn: undefined, organizations: [{ name: 'acme', limit: 7 }] },
      ...{ windowMs: 21_600_000, exempt: ['ci'] },
    },
  ],
  ['holdfast: {storage: {followtree: no}}', ({ storage }) => storage.followTree, false],
  ['holdfast: {notifications: {version: v1}}', ({ notifications }) => notifications.version, 'v1'],
]

describe('a key of the file', () => {
  for (const [text, pick, expected] of rows)
    it(text.split('\n').join(' ') || 'nothing but the version', async () => {
      const { configuration, warnings } = await loadText(text)
      assert.deepEqual(pick(configuration), expected)
      assert.deepEqual(warnings, [])
    })
})

describe('the configuration', () => {
  it('is that of a laptop when nothing is said', async () => {
    const { configuration, warnings } = await loadConfiguration({ env: {} })
    const expected = defaultConfiguration()
    expected.storage.root = resolve('data')
    assert.deepEqual(configuration, expected)
    assert.deepEqual(warnings, [])
  })

  it('comes from a flag before a variable before the file', async () => {
    const text = 'http:\n  addr: :1\nstorage:\n  filesystem:\n    rootdirectory: /in/file\n'
    const env = { REGISTRY_HTTP_ADDR: ':2', REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/in/env' }
    const from = async (sources: Partial<Sources>) => {
      const { http, storage } = (await loadText(text, sources)).configuration
      return ['port' in http.address && http.address.port, storage.root]
    }
    assert.deepEqual(await from({}), [1, '/in/file'])
    assert.deepEqual(await from({ env }), [2, '/in/env'])
    assert.deepEqual(await from({ env, flags: { addr: ':3', data: '/in/flag' } }), [3, '/in/flag'])
    assert.deepEqual(await from({ env: { REGISTRY_HTTP_ADDR: '' } }), [5000, '/in/file'])
  })

  it('is read from the file a variable names, unless another is given', async () => {
    await withConfigFile('version: 0.1\nlog: {level: warn}\n', async (file) => {
      const env = { REGISTRY_CONFIGURATION_PATH: file }
      assert.equal((await loadConfiguration({ env })).configuration.log.level, 'warn')
      assert.equal((await loadText('log: {level: error}', { env })).configuration.log.level, 'error')
    })
  })

  it('takes a flag even against a socket and a folder to throw away', async () => {
    const { http, storage } = (
      await loadText('http: {net: unix, addr: /s}\nstorage: inmemory', { flags: { addr: ':3', data: '/d' } })
    ).configuration
    assert.deepEqual([http.address, storage.root, storage.inMemory], [{ host: '::', port: 3 }, '/d', false])
  })

  it('keeps a new folder for images that are thrown away', async () => {
    const [one, two] = await Promise.all([loadText('storage: inmemory'), loadText('storage:\n  inmemory:\n')])
    assert.ok(one.configuration.storage.inMemory && two.configuration.storage.inMemory)
    assert.notEqual(one.configuration.storage.root, two.configuration.storage.root)
  })

  it('follows anchors, merges and the first of several documents', async () => {
    const { configuration } = await loadText(
      'x-tls: &tls {certificate: /c, key: /k}\nhttp: {tls: {<<: *tls, key: /other}}\n---\nhttp: {addr: ":1"}\n',
    )
    assert.deepEqual(configuration.http.tls?.source, { certificate: '/c', key: '/other' })
    assert.deepEqual(configuration.http.address, { host: '::', port: 5000 })
  })

  it('reads a file with a byte order mark and the line ends of Windows', async () => {
    await withConfigFile('\uFEFFversion: 0.1\r\nlog:\r\n  level: warn\r\n', async (file) => {
      assert.equal((await loadConfiguration({ file, env: {} })).configuration.log.level, 'warn')
    })
  })
})
