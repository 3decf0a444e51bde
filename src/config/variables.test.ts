import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadText } from '../../test/support/config-file.ts'
import type { Configuration } from './configuration.ts'
import { loadConfiguration } from './load.ts'

type Row = [env: Record<string, string>, pick: (configuration: Configuration) => unknown, expected: unknown]

/** Variables without a file, each a form that registry:2 takes or trips over. */
const rows: Row[] = [
  [{ REGISTRY_HTTP_ADDR: ':5001' }, ({ http }) => http.address, { host: '::', port: 5001 }],
  [{ REGISTRY_LOG_LEVEL: 'WARN' }, ({ log }) => log.level, 'warn'],
  [{ REGISTRY_HTTP_DRAINTIMEOUT: '45s' }, ({ http }) => http.drainMs, 45_000],
  // Whole sections, lists and maps as YAML; what is above comes first.
  [
    { REGISTRY_STORAGE: '{filesystem: {rootdirectory: /s}, delete: {enabled: false}}' },
    ({ storage }) => [storage.root, storage.delete],
    ['/s', false],
  ],
  [
    { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/later', REGISTRY_STORAGE: '{filesystem: {rootdirectory: /s}}' },
    ({ storage }) => storage.root,
    '/later',
  ],
  [{ REGISTRY_HTTP_HEADERS: '{X-A: [b]}' }, ({ http }) => http.headers, { 'X-A': ['b'] }],
  [{ 'REGISTRY_HTTP_HEADERS_X-Foo': '[bar]' }, ({ http }) => http.headers, { 'x-foo': ['bar'] }],
  [{ 'REGISTRY_HTTP_HEADERS_X-Foo': 'bar' }, ({ http }) => http.headers, { 'x-foo': ['bar'] }],
  [
    { 'REGISTRY_HTTP_HEADERS_X-Foo_0': 'a', 'REGISTRY_HTTP_HEADERS_X-Foo_1': 'b' },
    ({ http }) => http.headers,
    { 'x-foo': ['a', 'b'] },
  ],
  [
    { REGISTRY_LOG_FIELDS_SERVICE: 'r', REGISTRY_LOG_FIELDS_MY_FIELD: 's' },
    ({ log }) => log.fields,
    { my_field: 's', service: 'r' },
  ],
  [
    { REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW: '["^https?://"]' },
    ({ validation }) => validation.urls?.allow,
    [/^https?:\/\//],
  ],
  // A word for a store or a sign-in, with its parts beside it.
  [
    {
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
      REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd',
    },
    ({ auth }) => auth,
    { kind: 'htpasswd', realm: 'Registry Realm', path: '/auth/htpasswd' },
  ],
  [
    { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd' },
    ({ auth }) => auth,
    { kind: 'htpasswd', realm: 'basic-realm', path: '/auth/htpasswd' },
  ],
  [{ REGISTRY_STORAGE: 'inmemory' }, ({ storage }) => storage.inMemory, true],
  [{ REGISTRY_STORAGE_INMEMORY: '{}' }, ({ storage }) => storage.inMemory, true],
  // Leaves under maps that are not there.
  [{ REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' }, ({ storage }) => storage.readOnly, true],
  [{ REGISTRY_STORAGE_MAINTENANCE_READONLY: '{enabled: true}' }, ({ storage }) => storage.readOnly, true],
  [{ REGISTRY_STORAGE_MAINTENANCE: '{readonly: {enabled: true}}' }, ({ storage }) => storage.readOnly, true],
  [
    { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED: 'false' },
    ({ storage }) => storage.uploadPurge.enabled,
    false,
  ],
  // Quoted booleans.
  [{ REGISTRY_STORAGE_DELETE_ENABLED: '"false"' }, ({ storage }) => storage.delete, false],
  [{ REGISTRY_STORAGE_DELETE: '{enabled: "off"}' }, ({ storage }) => storage.delete, false],
  // Items of lists, also more than ten, and of plain values.
  [
    {
      REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE: '/acme',
      ...Object.fromEntries(
        Array.from({ length: 11 }, (_, i) => [`REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_${i}`, `h${i}`]),
      ),
    },
    ({ http }) => http.tls && 'acme' in http.tls.source && http.tls.source.acme.hosts,
    ['h0', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'h7', 'h8', 'h9', 'h10'],
  ],
  [
    { REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME: 'a', REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL: 'http://a.test' },
    ({ notifications }) => notifications.endpoints.map(({ name, url }) => [name, url]),
    [['a', 'http://a.test']],
  ],
  [
    {
      REGISTRY_NOTIFICATIONS_ENDPOINTS: '[{name: a, url: "http://a.test"}]',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TIMEOUT: '3s',
    },
    ({ notifications }) => notifications.endpoints[0]?.timeoutMs,
    3000,
  ],
  // Both spellings of renamed fields.
  [{ REGISTRY_HEALTH_FILECHECKERS_0_FILE: '/f' }, ({ health }) => health.files[0]?.path, '/f'],
  [{ REGISTRY_HEALTH_FILE_0_FILE: '/f' }, ({ health }) => health.files[0]?.path, '/f'],
  [{ REGISTRY_HEALTH_HTTPCHECKERS: '[{uri: "http://a.test"}]' }, ({ health }) => health.http[0]?.url, 'http://a.test'],
  [{ REGISTRY_HEALTH_TCPCHECKERS_0_ADDR: 'a:1' }, ({ health }) => health.tcp[0]?.host, 'a'],
  [{ REGISTRY_HEALTH_TCP_0_ADDR: 'a:1' }, ({ health }) => health.tcp[0]?.host, 'a'],
  [
    { REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: 'true' },
    ({ notifications: n }) => n.includeReferences,
    true,
  ],
  [{ REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES: 'true' }, ({ notifications: n }) => n.includeReferences, true],
  // Texts that are no YAML, or look like something else.
  [
    { REGISTRY_LOG_FIELDS_A: '[x', REGISTRY_LOG_FIELDS_B: 'a: b', REGISTRY_LOG_FIELDS_C: '12' },
    ({ log }) => log.fields,
    { a: '[x', b: 'a: b', c: '12' },
  ],
  [
    { REGISTRY_LOG_FIELDS_A: '#x', REGISTRY_LOG_FIELDS_B: '"q"', REGISTRY_LOG_FIELDS_C: '*x' },
    ({ log }) => log.fields,
    { a: '#x', b: 'q', c: '*x' },
  ],
  // What only bears the prefix.
  [
    {
      REGISTRY_PORT: 'tcp://10.0.0.1:5000',
      REGISTRY_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      REGISTRY_PORT_5000_TCP_ADDR: '10.0.0.1',
      REGISTRY_PORT_5000_TCP_PORT: '5000',
      REGISTRY_PORT_5000_TCP_PROTO: 'tcp',
      REGISTRY_SERVICE_HOST: '10.0.0.1',
      REGISTRY_SERVICE_PORT: '5000',
      REGISTRY_SERVICE_PORT_HTTP: '5000',
      REGISTRY_AUTH_PORT: 'tcp://10.0.0.2:5001',
      REGISTRY_AUTH_SERVICE_HOST: '10.0.0.2',
      REGISTRY_STORAGE_PORT: 'tcp://10.0.0.3:9000',
      REGISTRY_STORAGE_PORT_9000_TCP: 'tcp://10.0.0.3:9000',
      HOLDFAST_PORT: 'tcp://10.0.0.4:5000',
      HOLDFAST_SERVICE_HOST: '10.0.0.4',
      REGISTRY_AUTH_FILE: '/run/containers/0/auth.json',
    },
    ({ auth, storage }) => [auth, storage.inMemory],
    [undefined, false],
  ],
  // Ours.
  [
    { HOLDFAST_HTTP_TRUSTEDPROXIES: '[10.0.0.0/8, 192.168.0.1]' },
    ({ http }) => http.trustedProxies,
    ['10.0.0.0/8', '192.168.0.1'],
  ],
  [{ HOLDFAST_HTTP_TRUSTEDPROXIES_0: '10.0.0.0/8' }, ({ http }) => http.trustedProxies, ['10.0.0.0/8']],
  [{ HOLDFAST_STORAGE_FOLLOWTREE: 'off' }, ({ storage }) => storage.followTree, false],
]

describe('a variable', () => {
  for (const [env, pick, expected] of rows)
    it(
      Object.entries(env)
        .slice(0, 3)
        .map((pair) => pair.join('='))
        .join(' '),
      async () => {
        const { configuration, warnings } = await loadConfiguration({ env })
        assert.deepEqual(pick(configuration), expected)
        assert.deepEqual(warnings, [])
      },
    )

  it('keeps the letters of a name that stands in the file', async () => {
    const { configuration } = await loadText('http: {headers: {X-Foo: [a]}}', {
      env: { 'REGISTRY_HTTP_HEADERS_X-FOO': 'b' },
    })
    assert.deepEqual(configuration.http.headers, { 'X-Foo': ['b'] })
  })

  it('changes an item of the list in the file, and adds the next', async () => {
    const env = { REGISTRY_HTTP_TLS_CLIENTCAS_1: '/new', REGISTRY_HTTP_TLS_CLIENTCAS_2: '/third' }
    const { configuration } = await loadText('http: {tls: {certificate: /c, key: /k, clientcas: [/a, /b]}}', { env })
    assert.deepEqual(configuration.http.tls?.clientCas, ['/a', '/new', '/third'])
  })

  it('that is empty takes away what the file says', async () => {
    const { configuration } = await loadText('http: {debug: {addr: ":5001"}, prefix: /x/}', {
      env: { REGISTRY_HTTP_DEBUG_ADDR: '', REGISTRY_HTTP_PREFIX: '' },
    })
    assert.deepEqual([configuration.http.debug, configuration.http.prefix], [undefined, '/'])
  })

  it('that is empty opens nothing', async () => {
    const { configuration, warnings } = await loadText('auth: {htpasswd: {path: /h}}', { env: { REGISTRY_AUTH: '' } })
    assert.equal(configuration.auth?.kind, 'htpasswd')
    assert.deepEqual(warnings, ['REGISTRY_AUTH: is empty and passed over'])
  })

  it('adds to the short form of the file', async () => {
    const { configuration } = await loadText('auth: htpasswd\nstorage: filesystem', {
      env: { REGISTRY_AUTH_HTPASSWD_PATH: '/h', REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/r' },
    })
    assert.deepEqual([configuration.auth?.kind, configuration.storage.root], ['htpasswd', '/r'])
  })

  it('chooses the store before the file does, and says so', async () => {
    const { configuration, warnings } = await loadText('storage:\n  filesystem: {rootdirectory: /x}', {
      env: { REGISTRY_STORAGE_INMEMORY: '{}' },
    })
    assert.ok(configuration.storage.inMemory)
    assert.match(
      warnings.join(),
      /config\.yml:3: storage\.filesystem is passed over: REGISTRY_STORAGE_INMEMORY chooses/,
    )
  })

  it('that stands for no key is named with the nearest', async () => {
    const { warnings } = await loadConfiguration({
      env: { REGISTRY_HTTP_ADR: ':1', REGISTRY_LOGG_LEVEL: 'x', REGISTRY_HTTP_TLS_CERT: '/c', REGISTRY_WHATEVER: 'x' },
    })
    assert.deepEqual(warnings, [
      'REGISTRY_HTTP_ADR: stands for no key; did you mean REGISTRY_HTTP_ADDR?',
      'REGISTRY_HTTP_TLS_CERT: stands for no key',
      'REGISTRY_LOGG_LEVEL: stands for no key; did you mean REGISTRY_LOG_LEVEL?',
      'REGISTRY_WHATEVER: stands for no key',
    ])
  })

  for (const [env, message] of [
    [
      { REGISTRY_AUTH_HTPASWD_PATH: '/x' },
      'REGISTRY_AUTH_HTPASWD_PATH: stands for no key; did you mean REGISTRY_AUTH_HTPASSWD_PATH?',
    ],
    [{ REGISTRY_STORAGE_FILESYTEM_ROOTDIRECTORY: '/x' }, 'did you mean REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY?'],
    [
      { HOLDFAST_HTTP_TRUSTEDPROXY: 'x' },
      'HOLDFAST_HTTP_TRUSTEDPROXY: stands for no key; did you mean HOLDFAST_HTTP_TRUSTEDPROXIES?',
    ],
    [
      { REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL: 'http://a.test' },
      'REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL: item 1 without those before; the next is 0',
    ],
    [{ REGISTRY_HTTP_ADDR: '5000' }, 'REGISTRY_HTTP_ADDR: http.addr is "5000": expected HOST:PORT'],
    [{ REGISTRY_LOG_LEVEL: 'loud' }, 'REGISTRY_LOG_LEVEL: log.level is "loud": expected debug, info, warn or error'],
    [{ REGISTRY_STORAGE: '{s3: {secretkey: [topsecret}' }, 'REGISTRY_STORAGE: expected YAML: '],
    [{ REGISTRY_STORAGE: 's3' }, 'REGISTRY_STORAGE: storage.s3.bucket is missing: expected the name of a bucket'],
    [{ REGISTRY_STORAGE_S3_BUCKET: 'b' }, 'REGISTRY_STORAGE_S3_BUCKET: storage.s3.region is missing'],
    [{ REGISTRY_STORAGE: 'gcs' }, 'REGISTRY_STORAGE: storage.gcs.bucket is missing'],
    [{ REGISTRY_AUTH: 'token' }, 'REGISTRY_AUTH: auth.token.issuer is missing: expected who issues the tokens'],
    [{ REGISTRY_AUTH_TOKEN_REALM: 'x' }, 'auth.token.service is missing'],
    [
      { REGISTRY_PROXY_REMOTEURL: 'https://hub.test' },
      'REGISTRY_PROXY_REMOTEURL: proxy.remoteurl needs the pull-through cache',
    ],
  ] as const) {
    it(`that cannot be used is an error: ${Object.keys(env).join()}`, async () => {
      await assert.rejects(loadConfiguration({ env }), (error: Error) => {
        assert.ok(error.message.includes(message), error.message)
        assert.ok(!error.message.includes('topsecret'), error.message)
        return true
      })
    })
  }
})
