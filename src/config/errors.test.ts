import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadText, withConfigFile } from '../../test/support/config-file.ts'
import { loadConfiguration } from './load.ts'
import { ConfigurationError } from './problems.ts'

/** The error without the folder of the file; the first line of the text is line 2. */
async function errorsOf(text: string): Promise<string[]> {
  try {
    await loadText(text)
  } catch (error) {
    if (error instanceof ConfigurationError) return error.errors.map((line) => line.replace(/^.*\/config\.yml:/, ''))
    throw error
  }
  return []
}

const warningsOf = async (text: string) =>
  (await loadText(text)).warnings.map((line) => line.replace(/^.*\/config\.yml:/, ''))

const refused: [text: string, error: string][] = [
  ['log: {level: trace}', '2: log.level is "trace": expected debug, info, warn or error'],
  ['log: {level: fatal}', '2: log.level is "fatal": expected debug, info, warn or error'],
  ['log:\n  level: [info]', '3: log.level is a list: expected debug, info, warn or error'],
  ['log: {formatter: xml}', '2: log.formatter is "xml": expected text, json or logstash'],
  ['log: true', '2: log is a text: expected a section of keys'],
  ...['5000', 'localhost', '::1:5000', 'host:65536', 'host:-1', 'host:port', 'http://host:1'].map(
    (addr): [string, string] => [
      `http:\n  addr: "${addr}"`,
      `3: http.addr is "${addr}": expected HOST:PORT such as 127.0.0.1:5000 or :5000`,
    ],
  ),
  ['http: {net: udp}', '2: http.net is "udp": expected tcp or unix'],
  ['http: {net: unix}', '2: http.addr is missing: expected the path of the socket'],
  [
    'http: {prefix: registry}',
    '2: http.prefix is "registry": expected a path that starts and ends with a slash such as /registry/',
  ],
  [
    'http: {debug: {addr: ":5001", prometheus: {enabled: true, path: metrics}}}',
    '2: http.debug.prometheus.path is "metrics": expected a path such as /metrics',
  ],
  [
    'http: {draintimeout: 5 minutes}',
    '2: http.draintimeout is "5 minutes": expected a duration such as 30s, 1h30m or 168h',
  ],
  ['http: {draintimeout: -5s}', '2: http.draintimeout is "-5s": expected a duration such as 30s, 1h30m or 168h'],
  ['http: {relativeurls: 1}', '2: http.relativeurls is "1": expected true or false'],
  ['http: {headers: [a]}', '2: http.headers is a list: expected a section of keys'],
  [
    'http: {headers: {"a b": [c]}}',
    '2: http.headers.a b is not the name of a header: expected letters, digits and hyphens',
  ],
  [
    'http: {headers: {a: ["b\\r\\nc: d"]}}',
    '2: http.headers.a has a value that no header can have: expected one line of Latin letters',
  ],
  [
    'http:\n  tls:\n    certificate: /c',
    '3: http.tls.key is missing: expected the file with the key of the certificate',
  ],
  [
    'http: {tls: {key: /k}}',
    '2: http.tls needs certificate and key, or letsencrypt.cachefile: without, the registry speaks plain HTTP',
  ],
  [
    'http: {tls: {certificate: /c, key: /k, letsencrypt: {cachefile: /a, hosts: [h]}}}',
    '2: http.tls.letsencrypt stands beside certificate: expected one of the two',
  ],
  [
    'http: {tls: {certificate: /c, key: /k, ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]}}',
    '2: http.tls.ciphersuites.0 is "TLS_RSA_WITH_RC4_128_SHA": expected the name of a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  ],
  ['http: {debug: {addr: "5001"}}', '2: http.debug.addr is "5001": expected HOST:PORT such as 127.0.0.1:5000 or :5000'],
  [
    'storage: {filesystm: {rootdirectory: /x}}',
    '2: there is no key storage.filesystm; did you mean storage.filesystem?',
  ],
  ['storage: disk', '2: there is no key storage.disk'],
  ['storage: [filesystem]', '2: storage is a list: expected a section of keys'],
  ['storage: {filesystem: {}, inmemory: {}}', '2: storage is filesystem and inmemory: expected exactly one of them'],
  ['storage: {delete: true}', '2: storage.delete is a text: expected a section of keys'],
  ['storage: {delete: {enabled: maybe}}', '2: storage.delete.enabled is "maybe": expected true or false'],
  ['storage: swift', '2: storage.swift is not to be had: move the images to a folder'],
  ['auth: {htpaswd: {path: /x}}', '2: there is no key auth.htpaswd; did you mean auth.htpasswd?'],
  [
    'auth: {htpasswd: {realm: x}}',
    '2: auth.htpasswd.path is missing: expected the path of the file with the passwords',
  ],
  ['auth: {silly: {realm: x}}', '2: auth.silly.service is missing: expected a text'],
  ['auth: {htpasswd: {path: /x}, none: {}}', '2: auth is htpasswd and none: expected exactly one of them'],
  [
    'auth: {token: {issuer: i, service: s, rootcertbundle: /c}}',
    '2: auth.token.realm is missing: expected the URL where clients fetch tokens',
  ],
  [
    'auth: {token: {realm: r, service: s, rootcertbundle: /c}}',
    '2: auth.token.issuer is missing: expected who issues the tokens: their iss',
  ],
  [
    'auth: {token: {realm: r, issuer: i, service: s}}',
    '2: auth.token.rootcertbundle is missing: expected a file of certificates, or auth.token.jwks',
  ],
  [
    'auth: {token: {realm: r, issuer: i, service: s, jwks: /j, signingalgorithms: [HS256]}}',
    '2: auth.token.signingalgorithms leaves no algorithm: expected one such as ES256 or RS256',
  ],
  [
    'auth: {token: {realm: r, issuer: i, service: s, jwks: /j, signingalgorithms: [none]}}',
    '2: auth.token.signingalgorithms.0 is "none": expected EdDSA, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, HS256, HS384 or HS512',
  ],
  [
    "auth: {token: {realm: 'a\"b', issuer: i, service: s, jwks: /j}}",
    '2: auth.token has a realm or service with quotes or line ends: expected plain ones',
  ],
  [
    'auth: {silly: {realm: r, service: s}}\nholdfast: {tokens: {enabled: true}}',
    '3: holdfast.tokens.enabled needs users of its own: expected accounts or auth.htpasswd',
  ],
  ...[
    ['expiration: 59s', 'expiration is not between 60s and 1h: clients take less than 60s for 60s'],
    ['expiration: 61m', 'expiration is not between 60s and 1h: clients take less than 60s for 60s'],
    ['service: "a,b"', 'service has quotes, blanks or commas: expected a plain name'],
    ['realm: "https://a.test/x,y"', 'realm has quotes, blanks or commas: expected a plain URL'],
    ['realm: /token', 'realm is "/token": expected a URL such as https://example.com/path'],
  ].map(([given, error]): [string, string] => [
    `auth: {htpasswd: {path: /h}}\nholdfast: {tokens: {enabled: true, ${given}}}`,
    `3: holdfast.tokens.${error}`,
  ]),
  ...[
    ['{issuer: "https://i.test", claims: {sub: s}, robot: r}', '.name is missing: expected a name, such as deploy'],
    ['{name: n, claims: {sub: s}, robot: r}', '.issuer is missing: expected the URL of who issues the tokens'],
    [
      '{name: n, issuer: "http://i.test", claims: {sub: s}, robot: r}',
      '.issuer is not https: expected https://, or http:// on this machine',
    ],
    [
      '{name: n, issuer: "https://i.test", claims: {repository: s}, robot: r}',
      '.claims.sub is missing: expected sub or a claim that ends in _id, for names can be given to others',
    ],
    [
      '{name: n, issuer: "https://i.test", claims: {sub: "*"}, robot: r}',
      '.claims.sub fits everything: expected more than *',
    ],
    [
      '{name: n, issuer: "https://i.test", claims: {sub: s}}',
      '.robot is missing: expected as whom the job acts, or grants',
    ],
    [
      '{name: n, issuer: "https://i.test", claims: {sub: s}, grants: [{repository: a}]}',
      '.grants.0.actions is missing: expected pull, push or delete',
    ],
    [
      '{name: n, issuer: "https://i.test", claims: {sub: s}, robot: r, expiration: 2h}',
      '.expiration is not between 60s and 1h',
    ],
  ].map(([rule, error]): [string, string] => [
    `auth: {htpasswd: {path: /h}}\nholdfast: {workloadidentity: [${rule!.replace('{', '{audience: a, ')}]}`,
    `3: holdfast.workloadidentity.0${error}`,
  ]),
  ...[
    ['{base: o=x}', 'url is missing: expected the URL of the server'],
    ['{url: "ldaps://h"}', 'base is missing: expected below what users are looked for'],
    [
      '{url: "ldap://ldap.example.com", base: o=x}',
      'url is without TLS: expected ldaps://, or starttls: true, or a server on this machine',
    ],
    [
      '{url: "https://h", base: o=x}',
      'url is "https://h": expected a URL such as ldaps://ldap.example.com or ldap://127.0.0.1:389',
    ],
    [
      '{url: "ldaps://h", base: o=x, userfilter: (uid=x)}',
      'userfilter has no {user}: expected one such as (uid={user})',
    ],
    [
      '{url: "ldaps://h", base: o=x, binddn: cn=x}',
      'bindpassword is missing: expected the password of binddn, or the file that holds it in bindpasswordfile',
    ],
    [
      '{url: "ldaps://h", base: o=x, groupbase: o=g, groups: [{group: g, team: t}]}',
      'groups.0.team is not ORGANIZATION/TEAM',
    ],
  ].map(([ldap, error]): [string, string] => [`holdfast: {ldap: ${ldap}}`, `2: holdfast.ldap.${error}`]),
  ...[
    ['{clientid: x}', 'issuer is missing: expected the URL of the provider'],
    ['{issuer: "https://i.test"}', 'clientid is missing: expected what this registry is called at the provider'],
    ['{issuer: "http://i.test", clientid: x}', 'issuer is not https: expected https://, or http:// on this machine'],
    [
      '{issuer: "https://i.test", clientid: x, clientsecret: a, clientsecretfile: b}',
      'clientsecret stands beside clientsecretfile: expected one of them',
    ],
    ['{issuer: "https://i.test", clientid: x, scopes: ["a b"]}', 'scopes.0 has blanks or quotes: expected one scope'],
    [
      '{issuer: "https://i.test", clientid: x, groups: [{group: g}]}',
      'groups.0.team is missing: expected ORGANIZATION/TEAM, or administrator: true',
    ],
  ].map(([openid, error]): [string, string] => [`holdfast: {openid: ${openid}}`, `2: holdfast.openid.${error}`]),
  ...[
    ['{account: a}', ' has no name: expected one of commonname, dns, uri, email'],
    ['{dns: a, uri: b, account: a}', ' has dns and uri: expected one of commonname, dns, uri, email'],
    ['{dns: a}', '.account is missing: expected the name of a user or robot'],
    ['{dns: "*.*", account: a}', '.dns has more than one *'],
    ['{dns: a, account: "*"}', '.account has a * that stands for nothing in dns'],
  ].map(([rule, error]): [string, string] => [
    `http: {tls: {certificate: /c, key: /k, clientcas: [/ca]}}\nholdfast: {clientcertificates: [${rule}]}`,
    `3: holdfast.clientcertificates.0${error}`,
  ]),
  [
    'http: {host: ""}\nauth: {htpasswd: {path: /h}}\nholdfast: {workloadidentity: [{name: n, issuer: "https://i.test", claims: {sub: s}, robot: r}]}',
    '4: holdfast.workloadidentity.0.audience is missing: expected for whom the tokens are issued, such as the URL of this registry',
  ],
  ['holdfast: {ratelimits: {pulls: {window: 25h}}}', '2: holdfast.ratelimits.pulls.window is not between 1s and 24h'],
  [
    'proxy: {remoteurl: "https://hub.test", password: p}',
    '2: proxy.remoteurl needs the pull-through cache, which this version does not have yet; it does not start with this key',
  ],
  ['health: {http: [{statuscode: 200}]}', '2: health.http.0.uri is missing: expected a URL'],
  ['health: {tcp: [{timeout: 1s}]}', '2: health.tcp.0.addr is missing: expected HOST:PORT'],
  ['health: {file: [{interval: 1s}]}', '2: health.file.0.file is missing: expected the path of a file'],
  ['health: {file: /x}', '2: health.file is a text: expected a list'],
  [
    'notifications: {endpoints: [{name: a}]}',
    '2: notifications.endpoints.0.url is missing: expected where to post the events',
  ],
  [
    'notifications: {endpoints: [{url: "ftp://secret"}]}',
    '2: notifications.endpoints.0.url is "<secret>": expected a URL such as https://example.com/path',
  ],
  ['tags: {maxtags: -1}', '2: tags.maxtags is "-1": expected a number from 0'],
  [
    'validation: {manifests: {urls: {allow: ["("]}}}',
    '2: validation.manifests.urls.allow.0 is "(": expected a regular expression',
  ],
  [
    'validation: {manifests: {indexes: {platforms: list, platformlist: [{os: linux}]}}}',
    '2: validation.manifests.indexes.platformlist.0 needs both architecture and os',
  ],
  [
    'holdfast: {http: {trustedproxies: [proxy]}}',
    '2: holdfast.http.trustedproxies.0 is "proxy": expected an address or network such as 10.0.0.1 or 10.0.0.0/8',
  ],
  ['holdfast: {htp: {}}', '2: there is no key holdfast.htp; did you mean holdfast.http?'],
  [
    'holdfast: {storage: {folowtree: no}}',
    '2: there is no key holdfast.storage.folowtree; did you mean holdfast.storage.followtree?',
  ],
]

const warned: [text: string, warning: string][] = [
  [
    'auth: {token: {realm: r, issuer: i, service: s, jwks: /j, signingalgorithms: [ES256, HS256]}}',
    '2: auth.token.signingalgorithms names HS algorithms, which are passed over: they take public keys for secrets',
  ],
  ['log: {levle: info}', '2: there is no key log.levle; did you mean log.level?'],
  ['Log: {level: info}', '2: there is no key Log; did you mean log?'],
  ['nonsense: 1', '2: there is no key nonsense'],
  [
    'http: {draintimeout: 10}',
    '2: http.draintimeout is "10": less than a millisecond, for a number without a unit counts nanoseconds; write 10s for seconds, 10ms for milliseconds',
  ],
  [
    'http: {host: "https://registry.test/below"}',
    '2: http.host has the path /below, which is passed over: use http.prefix',
  ],
  [
    'http: {host: registry.test}',
    '2: http.host is "registry.test" and passed over: expected scheme and host such as https://registry.example.com',
  ],
  [
    'http: {tls: {minimumtls: tls1.0, certificate: /c, key: /k}}',
    '2: http.tls.minimumtls is "tls1.0": versions before 1.2 are broken and not offered, tls1.2 is taken',
  ],
  [
    'http: {tls: {minimumtls: tls1.2}}',
    '2: http.tls needs certificate and key, or letsencrypt.cachefile: without, the registry speaks plain HTTP',
  ],
  [
    'http: {tls: {letsencrypt: {cachefile: /a}}}',
    '2: http.tls.letsencrypt.hosts is empty: there will be no certificate for any name',
  ],
  [
    'storage: {cache: {blobdescriptor: redis}}',
    '2: storage.cache.blobdescriptor is passed over: facts are read from the database, there is nothing to cache',
  ],
  ['redis: {addr: "x:1"}', '2: redis is passed over: facts are read from the database, there is nothing to cache'],
  [
    'middleware: {storage: [{name: cloudfront}]}',
    '2: middleware comes with redirects by way of others, which this version does not have yet',
  ],
  [
    'log: {hooks: [{type: mail}]}',
    '2: log.hooks is passed over: the log sends no mail, leave that to what collects it',
  ],
  ['reporting: {bugsnag: {apikey: k}}', '2: reporting is passed over: nothing is sent to third parties'],
  [
    'compatibility: {schema1: {enabled: true}}',
    '2: compatibility is passed over: clients stopped using schema 1 in 2017',
  ],
  ['policy: {repository: {classes: [image]}}', '2: policy is passed over: repositories hold all kinds of content'],
]

describe('a configuration that cannot be used', () => {
  for (const [text, error] of refused)
    it(text.split('\n').join(' '), async () => assert.deepEqual(await errorsOf(text), [error]))

  it('has one line an error, whatever its names hold', async () => {
    const errors = await errorsOf('holdfast: {"a\\nb\\e[2J": 1}\nhttp: {headers: {"a\\nb": [c]}}')
    assert.deepEqual(
      errors.map((line) => /[^\x20-\x7e]/.test(line)),
      [false, false],
    )
  })

  it('says all errors at once, by line', async () => {
    const text = 'http: {addr: x}\nlog: {level: loud}\nauth: nobody\nholdfast: {x: 1}'
    assert.deepEqual(
      (await errorsOf(text)).map((line) => line.split(':')[0]),
      ['2', '3', '4', '5'],
    )
  })

  for (const [what, text, error] of [
    ['no YAML', 'version: 0.1\nhttp:\n  addr: [x\n', /config\.yml:\d: expected YAML: /],
    ['no section', '- version: 0.1\n', /config\.yml:1: the file is a list: expected a section of keys/],
    ['nothing', '', /config\.yml:1: version is missing: expected the line "version: 0\.1"/],
    ['no version', 'log: {level: info}\n', /config\.yml:1: version is missing/],
    ['another version', 'log: {}\nversion: 0.2\n', /config\.yml:2: version is "0\.2": expected 0\.1/],
    [
      'an alias of nothing',
      'version: 0.1\nhttp: *none\n',
      /config\.yml:2: expected YAML: this alias has no anchor above/,
    ],
    [
      'an alias of itself',
      'version: 0.1\nhttp: &a {x: *a}\n',
      /config\.yml:2: expected YAML: this is nested too deeply/,
    ],
    [
      'aliases that multiply',
      `version: 0.1\na0: &a0 [x, x]\n${Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]\n`).join('')}`,
      /holds too much/,
    ],
  ] as const) {
    it(`holds ${what}`, async () => {
      await withConfigFile(text, (file) => assert.rejects(loadConfiguration({ file, env: {} }), error))
    })
  }

  it('is not there', async () => {
    await assert.rejects(
      loadConfiguration({ file: '/nowhere/config.yml', env: {} }),
      /\/nowhere\/config\.yml: there is no such file/,
    )
  })

  for (const flags of [{ addr: '' }, { addr: '5000' }, { data: ' ' }])
    it(`has a flag ${JSON.stringify(flags)}`, async () => {
      await assert.rejects(loadConfiguration({ flags, env: {} }), /--(addr|data): .*expected /)
    })

  it('never shows a secret', async () => {
    const text = `http: {secret: [hush]}\nnotifications: {endpoints: [{url: hush, headers: {Authorization: {a: hush}}}]}\nauth: {token: {secret: hush, realm: r, issuer: i, service: s, jwks: /j}}`
    const errors = await errorsOf(text)
    assert.equal(errors.length, 4)
    for (const broken of [
      'http: {secret: x} hush',
      'http: {secret: *hush}',
      'a: "b" hush',
      'hush: hush: hush',
      '@hush',
      '%hush',
    ])
      errors.push(...(await errorsOf(broken)))
    assert.ok(errors.length >= 10)
    assert.ok(!errors.join().includes('hush'), errors.join('\n'))
  })
})

describe('a configuration with something odd', () => {
  for (const [text, warning] of warned)
    it(text, async () => {
      assert.deepEqual(await warningsOf(text), [warning])
    })

  it('takes the last of two equal keys', async () => {
    const { configuration, warnings } = await loadText('log:\n  level: info\n  level: warn\n')
    assert.equal(configuration.log.level, 'warn')
    assert.match(warnings.join(), /config\.yml:4: level stands here twice; the last one counts$/)
  })

  it('says nothing of what nobody will miss', async () => {
    const { warnings, notes } = await loadText(
      'http: {secret: x}\nstorage: {filesystem: {maxthreads: 10}, redirect: {disable: true}, tag: {concurrencylimit: 5}}',
    )
    assert.deepEqual(warnings, [])
    assert.equal(notes.length, 3)
  })
})
