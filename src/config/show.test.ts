import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadText, withConfigFile } from '../../test/support/config-file.ts'
import { keys } from './keys/index.ts'
import { loadConfiguration } from './load.ts'
import { show } from './show.ts'
import { starterFile } from './starter-file.ts'

const much = `log: {level: warn, formatter: json, fields: {service: "a: b", "1": "[x", empty: ""}, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: "/srv/a b"}
  delete: {enabled: yes}
  maintenance: {uploadpurging: {age: 1h, interval: 7200000000000}, readonly: {enabled: "on"}}
auth: {htpasswd: {realm: "Registry #1", path: /auth/htpasswd}}
http:
  addr: "[::1]:443"
  prefix: /r/
  host: https://r.test
  relativeurls: no
  secret: hush
  tls: {certificate: /c, key: /k, clientcas: [/a, /b], ciphersuites: [TLS_AES_128_GCM_SHA256], minimumtls: tls1.3}
  headers: {X-A: ["b: c", "null", "#"], X-B: []}
  debug: {addr: ":5001", prometheus: {enabled: true}}
health:
  file: [{file: /down}]
  http: [{uri: "http://user:hush@a.test/", headers: {X: [y]}}]
  tcp: [{addr: "a:1"}]
notifications:
  endpoints:
    - {name: a, url: "http://a.test/hush", headers: {Authorization: [Bearer hush]}, ignore: {actions: [pull]}}
    - {name: b, url: "http://b.test/hush", disabled: true}
validation: {manifests: {urls: {allow: ["^https?://"]}}}
holdfast: {http: {trustedproxies: [10.0.0.0/8]}, storage: {followtree: false}}
`

describe('what is shown', () => {
  for (const [what, text] of [
    ['much', much],
    ['little', 'http: {addr: ":1"}'],
    ['old names', 'loglevel: warn\nvalidation: {enabled: true}'],
    ['a store in memory', 'storage: inmemory\nauth: none\n'],
  ] as const) {
    it(`reads back the same: ${what}`, async () => {
      const { configuration, reading } = await loadText(text)
      const shown = show(reading, true)
      const again = await withConfigFile(shown, (file) => loadConfiguration({ file, env: {} }))
      assert.deepEqual(again.warnings, [])
      const comparable = (value: typeof configuration) => {
        const copy = structuredClone(value)
        if (copy.storage.inMemory) copy.storage.root = ''
        copy.health.http = []
        copy.notifications.endpoints = []
        return copy
      }
      assert.deepEqual(comparable(again.configuration), comparable(configuration))
    })
  }

  it('holds no secret', async () => {
    const { reading } = await loadText(much)
    const shown = show(reading, false)
    assert.ok(!shown.includes('hush'), shown)
    assert.match(shown, /secret: "<secret>"/)
    assert.match(shown, /http:\/\/user:<secret>@a\.test\//)
  })

  it('says where each value comes from', async () => {
    const { reading } = await loadText('log:\n  level: warn\n', {
      env: { REGISTRY_HTTP_PREFIX: '/x/' },
      flags: { addr: ':7' },
    })
    const shown = show(reading, true)
    assert.match(shown, /^ {2}level: warn +# .*config\.yml:3$/m)
    assert.match(shown, /^ {2}prefix: \/x\/ +# REGISTRY_HTTP_PREFIX$/m)
    assert.match(shown, /^ {2}addr: ":7" +# --addr$/m)
    assert.match(shown, /^ {2}draintimeout: 30s +# default$/m)
  })
})

describe('the file to start from', () => {
  it('can be used as it is', async () => {
    const { configuration, warnings } = await withConfigFile(starterFile(), (file) =>
      loadConfiguration({ file, env: {} }),
    )
    assert.deepEqual(warnings, [])
    assert.deepEqual(configuration.storage.root, '/var/lib/registry')
  })

  it('changes nothing when a default is uncommented', async () => {
    const lines = starterFile().split('\n')
    const inTls = (line: string) =>
      /^#- +(tls|certificate|key|clientcas|clientauth|minimumtls|cipher|letsenc)/.test(line)
    const isSafe = (line: string) =>
      !/^#-( *)(inmemory|auth|htpasswd|realm|path|silly|service|none|token:|issuer|rootcertbundle|jwks|signingalgorithms|autoredirect|letsencrypt|cachefile|email|hosts|directoryurl)/.test(
        line,
      )
    const { s3, azure, gcs } = keys.fields.storage.fields
    const stores = Object.keys({ ...s3.fields, ...azure.fields, ...gcs.fields })
    const inner = ['s3', 'azure', 'gcs', 'type', 'tenantid', 'clientid', 'secret', 'client_email', 'private_key']
    const inStore = (line: string) => [...stores, ...inner].some((name) => new RegExp(`^#- +${name}:`).test(line))
    const open = lines
      .map((line) => (isSafe(line) && !inTls(line) && !inStore(line) ? line.replace(/^#-/, '') : line))
      .join('\n')
    const [before, after] = await Promise.all(
      [starterFile(), open].map((text) => withConfigFile(text, (file) => loadConfiguration({ file, env: {} }))),
    )
    assert.deepEqual(after!.warnings, [])
    assert.deepEqual(after!.configuration.http, before!.configuration.http)
  })
})
