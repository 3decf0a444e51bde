import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { describeKeys } from './describe.ts'
import { explain } from './explain.ts'
import { jsonSchema } from './json-schema.ts'
import { reference } from './reference.ts'

const page = join(import.meta.dirname, '../../docs/configuration.md')

describe('the documentation of the keys', () => {
  it('is the page in docs', async () => {
    if (process.env.UPDATE) await writeFile(page, reference())
    assert.equal(await readFile(page, 'utf8'), reference())
  })

  it('has every key of registry:2 and registry:3', () => {
    const known = new Set(describeKeys().map(({ path }) => path))
    const wanted =
      `version log.level log.formatter log.fields log.accesslog.disabled log.reportcaller log.hooks loglevel storage.filesystem.rootdirectory
      storage.filesystem.maxthreads storage.inmemory storage.s3 storage.azure storage.gcs storage.oss storage.swift storage.delete.enabled
      storage.redirect.disable storage.cache.blobdescriptor storage.cache.blobdescriptorsize storage.tag.concurrencylimit
      storage.maintenance.uploadpurging.dryrun storage.maintenance.readonly.enabled auth.silly.realm auth.htpasswd.path auth.token middleware
      reporting compatibility catalog.maxentries tags.maxtags http.addr http.net http.prefix http.host http.secret http.relativeurls
      http.draintimeout http.tls.certificate http.tls.key http.tls.clientcas http.tls.clientauth http.tls.minimumtls http.tls.ciphersuites
      http.tls.letsencrypt.cachefile http.tls.letsencrypt.email http.tls.letsencrypt.hosts http.tls.letsencrypt.directoryurl http.headers
      http.debug.addr http.debug.prometheus.enabled http.debug.prometheus.path http.http2.disabled http.h2c.enabled
      notifications.events.includereferences notifications.endpoints[].name notifications.endpoints[].disabled notifications.endpoints[].url
      notifications.endpoints[].headers notifications.endpoints[].timeout notifications.endpoints[].threshold
      notifications.endpoints[].backoff notifications.endpoints[].ignoredmediatypes notifications.endpoints[].ignore.mediatypes
      notifications.endpoints[].ignore.actions redis health.storagedriver.enabled health.storagedriver.interval
      health.storagedriver.threshold health.file[].file health.file[].interval health.file[].threshold health.http[].uri
      health.http[].headers health.http[].statuscode health.http[].timeout health.tcp[].addr proxy.remoteurl proxy.username proxy.password
      proxy.exec proxy.ttl proxy.cachewritetimeout validation.disabled validation.enabled validation.manifests.urls.allow
      validation.manifests.urls.deny validation.manifests.indexes.platforms validation.manifests.indexes.platformlist[].architecture policy`.split(
        /\s+/,
      )
    assert.deepEqual(
      wanted.filter((path) => !known.has(path)),
      [],
    )
  })

  it('gives every key a sentence', () => {
    for (const { path, doc } of describeKeys()) assert.match(doc, /^\S.*\.$/, path)
  })
})

describe('explain', () => {
  it('tells of a key its meaning, form, default and variables', () => {
    assert.equal(
      explain('health.file[].interval'),
      `health.file[].interval
  How often it is looked at.
  form      a duration such as 30s, 1h30m or 168h
  default   10s
  variable  REGISTRY_HEALTH_FILE_0_INTERVAL or REGISTRY_HEALTH_FILECHECKERS_0_INTERVAL
`,
    )
  })

  it('tells of a section what is in it', () => {
    assert.match(explain('http.debug'), /http\.debug\.addr .*\n.*http\.debug\.prometheus/)
    assert.match(explain('holdfast'), /holdfast\.http\.trustedproxies/)
    assert.doesNotMatch(explain('log'), /loglevel/)
  })

  it('takes the position of an item, and says why a key is not needed', () => {
    assert.match(explain('notifications.endpoints.0.url'), /^notifications\.endpoints\[\]\.url\n/)
    assert.match(explain('http.secret'), /note {6}this key is passed over: .*nothing to sign/)
  })

  it('knows all keys without being asked for one', () =>
    assert.match(explain(undefined), /holdfast\.storage\.followtree/))

  it('names the nearest of an unknown key', () => {
    assert.throws(() => explain('http.tsl'), /there is no key "http\.tsl"; did you mean http\.tls\?/)
    assert.throws(() => explain('rootdirectory'), /did you mean storage\.filesystem\.rootdirectory\?/)
  })
})

describe('the schema', () => {
  type Schema = Record<string, unknown> & { properties?: Record<string, Schema>; anyOf?: Schema[] }
  const at = (path: string): Schema =>
    path
      .split('.')
      .reduce<Schema>((schema, name) => (schema.anyOf?.[0] ?? schema).properties![name]!, jsonSchema() as Schema)

  it('says type, default and choices', () => {
    assert.deepEqual(at('log.level'), {
      description: 'The least important lines that are written.',
      enum: ['debug', 'info', 'warn', 'error'],
      default: 'info',
    })
    assert.deepEqual([at('storage.delete.enabled').type, at('storage.delete.enabled').default], ['boolean', false])
    assert.deepEqual(at('version').enum, [0.1, '0.1'])
  })

  it('is strict about what is ours, and marks what is not honoured', () => {
    assert.equal(at('holdfast.http').additionalProperties, false)
    assert.equal(at('redis').deprecated, true)
  })
})
