import { resolve } from 'node:path'
import type { ObjectStoreConfiguration } from '../configuration.ts'
import type { Build } from './tools.ts'

const MiB = 1 << 20
/** What S3 takes as a part, and what one upload may hold in memory. */
const [leastPart, mostPart] = [5 * MiB, 32 * MiB]

/** The object store that is configured, if one is. */
export function buildObjectStore(build: Build): ObjectStoreConfiguration | undefined {
  const { storage } = build.reading.values
  for (const name of ['s3', 's3aws'] as const)
    if (storage[name]) return buildS3(build, `storage.${name}`, storage[name])
  if (storage.azure) return buildAzure(build, storage.azure)
  return storage.gcs && buildGcs(build, storage.gcs)
}

type S3Keys = NonNullable<Build['reading']['values']['storage']['s3']>

function buildS3(build: Build, path: string, s3: S3Keys): ObjectStoreConfiguration {
  const { accesskey, secretkey, sessiontoken, regionendpoint, keyid, encrypt, storageclass } = s3
  if (!s3.bucket) build.missing(`${path}.bucket`, 'the name of a bucket')
  if (!s3.region) build.missing(`${path}.region`, 'a region such as eu-central-1 (any word where the server has none)')
  if (accesskey && !secretkey) build.missing(`${path}.secretkey`, 'the secret of the access key')
  if (secretkey && !accesskey) build.missing(`${path}.accesskey`, 'the access key of the secret')
  checkEndpoint(build, path, regionendpoint)
  return {
    kind: 's3',
    bucket: s3.bucket ?? '',
    region: s3.region ?? '',
    credentials:
      accesskey && secretkey
        ? { accessKeyId: accesskey, secretAccessKey: secretkey, ...(sessiontoken && { sessionToken: sessiontoken }) }
        : undefined,
    regionEndpoint: regionendpoint,
    redirectEndpoint: s3.redirectendpoint,
    pathStyle: s3.forcepathstyle ?? regionendpoint !== undefined,
    secure: s3.secure,
    skipVerify: s3.skipverify,
    prefix: prefixOf(s3.rootdirectory),
    encryption: encrypt ? { keyId: keyid } : undefined,
    storageClass: storageclass === 'NONE' ? undefined : storageclass,
    acl: s3.objectacl,
    partSize: partSize(build, `${path}.chunksize`, { bytes: s3.chunksize, least: leastPart }),
    multipartCopy: {
      threshold: s3.multipartcopythresholdsize,
      size: Math.max(leastPart, s3.multipartcopychunksize),
      concurrency: s3.multipartcopymaxconcurrency,
    },
    accelerate: s3.accelerate,
    dualStack: s3.usedualstack,
    fips: s3.usefipsendpoint,
    userAgent: s3.useragent,
  }
}

function checkEndpoint({ error }: Build, path: string, endpoint: string | undefined): void {
  if (endpoint === undefined) return
  const url = /^https?:\/\//i.test(endpoint) ? endpoint : `http://${endpoint}`
  if (!URL.canParse(url) || /\s/.test(endpoint))
    error(`${path}.regionendpoint`, `is ${JSON.stringify(endpoint)}: expected a URL such as https://s3.example.com`)
}

function partSize({ error, warn }: Build, path: string, { bytes, least }: { bytes: number; least: number }): number {
  if (bytes < least) error(path, `is ${bytes}: expected ${least} at least`)
  if (bytes > mostPart)
    warn(path, `is ${bytes}: 32 MiB is taken, for parts are held in memory; later ones need not be larger`)
  return Math.min(bytes, mostPart)
}

/** As registry:2 has it: a slash at either end makes no difference. */
function prefixOf(folder: string | undefined): string {
  const trimmed = (folder ?? '').replace(/^\/+|\/+$/g, '')
  return trimmed === '' ? '' : `${trimmed}/`
}

type AzureKeys = NonNullable<Build['reading']['values']['storage']['azure']>

function buildAzure(build: Build, azure: AzureKeys): ObjectStoreConfiguration {
  const given = connectionOf(azure.connectionstring)
  if (azure.connectionstring && !given.AccountName && !given.BlobEndpoint)
    build.error(
      'storage.azure.connectionstring',
      'names no account: expected AccountName=…;AccountKey=… as Azure shows it',
    )
  const account = azure.accountname ?? given.AccountName ?? given.BlobEndpoint?.match(/\/\/([^./]+)/)?.[1] ?? ''
  if (!account) build.missing('storage.azure.accountname', 'the name of the storage account')
  if (!azure.container) build.missing('storage.azure.container', 'the name of a container')
  const realm = given.EndpointSuffix ?? azure.realm
  const { DefaultEndpointsProtocol: protocol = 'https' } = given
  return {
    kind: 'azure',
    account,
    container: azure.container ?? '',
    serviceUrl: azure.serviceurl ?? given.BlobEndpoint ?? `${protocol}://${account}.blob.${realm}`,
    credentials: azureCredentials(build, azure, given),
    prefix: prefixOf(azure.rootdirectory),
    skipVerify: azure.skipverify,
    partSize: 8 * MiB,
    patience: { attempts: azure.max_retries + 1, pauseMs: azure.retry_delay },
  }
}

function azureCredentials({ missing, error }: Build, azure: AzureKeys, given: Record<string, string>) {
  const { type, tenantid, clientid, secret } = azure.credentials
  if (type === 'default_credentials') return { kind: 'default' } as const
  if (type === 'client_secret') {
    if (!tenantid) missing('storage.azure.credentials.tenantid', 'the ID of the tenant')
    if (!clientid) missing('storage.azure.credentials.clientid', 'the ID of the application')
    if (!secret) missing('storage.azure.credentials.secret', 'the secret of the application')
    return { kind: 'client', tenantId: tenantid ?? '', clientId: clientid ?? '', secret: secret ?? '' } as const
  }
  const query = given.SharedAccessSignature?.replace(/^\?/, '')
  if (query) return { kind: 'sas', query } as const
  const key = azure.accountkey ?? given.AccountKey ?? ''
  if (key === '') missing('storage.azure.accountkey', 'the key of the account, a connectionstring, or credentials')
  else if (!/^[\w+/]+=*$/.test(key)) error('storage.azure.accountkey', 'is no key: expected base64')
  return { kind: 'key', key } as const
}

/** The parts of a connection string: `Name=value;…`. */
function connectionOf(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(';').map((pair) => /^\s*([^=]+)=(.*)$/.exec(pair))
  return Object.fromEntries(pairs.flatMap((pair) => (pair ? [[pair[1], pair[2]]] : [])))
}

type GcsKeys = NonNullable<Build['reading']['values']['storage']['gcs']>

function buildGcs(build: Build, gcs: GcsKeys): ObjectStoreConfiguration {
  if (!gcs.bucket) build.missing('storage.gcs.bucket', 'the name of a bucket')
  return {
    kind: 'gcs',
    bucket: gcs.bucket ?? '',
    endpoint: gcs.endpoint ?? 'https://storage.googleapis.com',
    credentials: gcsCredentials(build, gcs),
    prefix: prefixOf(gcs.rootdirectory),
    partSize: partSize(build, 'storage.gcs.chunksize', { bytes: gcs.chunksize, least: MiB }),
  }
}

function gcsCredentials({ missing }: Build, { keyfile, credentials, endpoint }: GcsKeys) {
  if (keyfile) return { kind: 'file', path: resolve(keyfile) } as const
  if (!credentials) return endpoint === undefined ? ({ kind: 'default' } as const) : ({ kind: 'none' } as const)
  const { client_email, private_key } = credentials
  if (!client_email) missing('storage.gcs.credentials.client_email', 'the address of the service account')
  if (!private_key) missing('storage.gcs.credentials.private_key', "the service account's private key")
  return { kind: 'key', key: { client_email: client_email ?? '', private_key: private_key ?? '' } } as const
}
