import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadText } from '../../test/support/config-file.ts'
import { loadConfiguration } from './load.ts'

const objectsOf = async (text: string) => (await loadText(`storage: {${text}}`)).configuration.storage.objects as never

describe('an object store in the configuration', () => {
  it('is S3 with all keys of registry:2 and registry:3', async () => {
    const { configuration, warnings } = await loadText(`storage:
  s3: {region: eu-west-1, bucket: b, accesskey: k, secretkey: s, regionendpoint: "minio:9000", forcepathstyle: false,
    encrypt: true, keyid: key, secure: false, skipverify: yes, v4auth: true, chunksize: 10485760, loglevel: off,
    multipartcopychunksize: 33554432, multipartcopymaxconcurrency: 10, multipartcopythresholdsize: 1000, rootdirectory: /a/b/,
    storageclass: GLACIER_IR, objectacl: bucket-owner-full-control, useragent: ours, usedualstack: true, accelerate: true,
    usefipsendpoint: true, redirectendpoint: "https://out.test"}
  redirect: {disable: true}`)
    assert.deepEqual(warnings, [])
    assert.equal(configuration.storage.redirect, false)
    assert.deepEqual(configuration.storage.objects, {
      kind: 's3',
      bucket: 'b',
      region: 'eu-west-1',
      credentials: { accessKeyId: 'k', secretAccessKey: 's' },
      regionEndpoint: 'minio:9000',
      redirectEndpoint: 'https://out.test',
      pathStyle: false,
      secure: false,
      skipVerify: true,
      prefix: 'a/b/',
      encryption: { keyId: 'key' },
      storageClass: 'GLACIER_IR',
      acl: 'bucket-owner-full-control',
      partSize: 10_485_760,
      multipartCopy: { threshold: 1000, size: 32 << 20, concurrency: 10 },
      accelerate: true,
      dualStack: true,
      fips: true,
      userAgent: 'ours',
    })
  })

  it('is S3 by either name, with the path style of registry:2 and redirects unless told otherwise', async () => {
    for (const [text, pathStyle] of [
      ['s3: {bucket: b, region: r}', false],
      ['s3aws: {bucket: b, region: r, regionendpoint: "http://minio:9000"}', true],
    ] as const)
      assert.equal(((await objectsOf(text)) as { pathStyle: boolean }).pathStyle, pathStyle)
    assert.equal((await loadText('storage: {s3: {bucket: b, region: r}}')).configuration.storage.redirect, true)
  })

  it('is Azure by key, connection string, signature, client or what the environment has', async () => {
    const common = 'accountname: acc, container: c'
    for (const [text, credentials, serviceUrl] of [
      [`${common}, accountkey: a2V5`, { kind: 'key', key: 'a2V5' }, 'https://acc.blob.core.windows.net'],
      [
        'container: c, connectionstring: "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn"',
        { kind: 'key', key: 'a2V5==' },
        'https://acc.blob.core.chinacloudapi.cn',
      ],
      [
        'container: c, connectionstring: "BlobEndpoint=https://acc.blob.core.windows.net;SharedAccessSignature=sv=1&sig=a%3D"',
        { kind: 'sas', query: 'sv=1&sig=a%3D' },
        'https://acc.blob.core.windows.net',
      ],
      [
        `${common}, serviceurl: "http://azurite:10000/acc", credentials: {type: client_secret, tenantid: t, clientid: i, secret: s}`,
        { kind: 'client', tenantId: 't', clientId: 'i', secret: 's' },
        'http://azurite:10000/acc',
      ],
      [
        `${common}, credentials: {type: default_credentials}, realm: r.test`,
        { kind: 'default' },
        'https://acc.blob.r.test',
      ],
    ] as const) {
      const found: { account: string; credentials: unknown; serviceUrl: string } = await objectsOf(`azure: {${text}}`)
      assert.deepEqual([found.account, found.credentials, found.serviceUrl], ['acc', credentials, serviceUrl])
    }
  })

  for (const [text, message] of [
    ['s3: {region: r}', 'storage.s3.bucket is missing: expected the name of a bucket'],
    ['s3: {bucket: b}', 'storage.s3.region is missing: expected a region'],
    [
      's3: {bucket: b, region: r, accesskey: k}',
      'storage.s3.secretkey is missing: expected the secret of the access key',
    ],
    ['s3: {bucket: b, region: r, chunksize: 1000}', 'storage.s3.chunksize is 1000: expected 5242880 at least'],
    ['s3: {bucket: b, region: r, regionendpoint: "http://"}', 'storage.s3.regionendpoint is "http://": expected a URL'],
    ['s3: {bucket: b, region: r, storageclass: COLD}', 'storage.s3.storageclass is "COLD": expected NONE, STANDARD'],
    ['azure: {accountname: a, accountkey: a2V5}', 'storage.azure.container is missing'],
    ['azure: {container: c, accountkey: a2V5}', 'storage.azure.accountname is missing'],
    ['azure: {container: c, accountname: a}', 'storage.azure.accountkey is missing'],
    ['azure: {container: c, accountname: a, accountkey: "not base64"}', 'storage.azure.accountkey is no key'],
    [
      'azure: {container: c, accountname: a, credentials: {type: client_secret}}',
      'storage.azure.credentials.secret is missing',
    ],
    ['s3: {bucket: b, region: r}, filesystem: {}', 'storage is s3 and filesystem: expected exactly one of them'],
  ] as const)
    it(`is refused: ${text}`, async () => {
      await assert.rejects(objectsOf(text), (error: Error) => {
        assert.ok(error.message.includes(message), error.message)
        assert.ok(!error.message.includes('not base64'), error.message)
        return true
      })
    })

  it('is Google by key file, key, or what the environment has', async () => {
    for (const [text, credentials] of [
      ['keyfile: /key.json', { kind: 'file', path: '/key.json' }],
      [
        'credentials: {type: service_account, client_email: e, private_key: "k", project_id: p}',
        { kind: 'key', key: { client_email: 'e', private_key: 'k' } },
      ],
      ['rootdirectory: x', { kind: 'default' }],
      ['endpoint: "http://gcs:4443"', { kind: 'none' }],
    ] as const) {
      const found: { credentials: unknown } = await objectsOf(`gcs: {bucket: b, ${text}}`)
      assert.deepEqual(found.credentials, credentials)
    }
  })

  it('leaves the database in a folder, which --data names', async () => {
    const env = { REGISTRY_STORAGE: '{s3: {bucket: b, region: r}}' }
    assert.match((await loadConfiguration({ env })).configuration.storage.root, /\/data$/)
    const named = await loadConfiguration({ env, flags: { data: '/srv/facts' } })
    assert.equal(named.configuration.storage.root, '/srv/facts')
  })

  it('takes the place of the folder that the file of an image names', async () => {
    const env = { REGISTRY_STORAGE_S3_BUCKET: 'b', REGISTRY_STORAGE_S3_REGION: 'r' }
    const { configuration } = await loadText('storage: {filesystem: {rootdirectory: /var/lib/registry}}', { env })
    assert.deepEqual([configuration.storage.objects?.kind, configuration.storage.root], ['s3', '/var/lib/registry'])
  })
})
