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
  return undefined
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
    partSize: partSize(build, `${path}.chunksize`, s3.chunksize),
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

function partSize({ error, warn }: Build, path: string, bytes: number): number {
  if (bytes < leastPart) error(path, `is ${bytes}: expected ${leastPart} (5 MiB) at least`)
  if (bytes > mostPart)
    warn(path, `is ${bytes}: 32 MiB is taken, for parts are held in memory; later ones need not be larger`)
  return Math.min(bytes, mostPart)
}

/** As registry:2 has it: a slash at either end makes no difference. */
function prefixOf(folder: string | undefined): string {
  const trimmed = (folder ?? '').replace(/^\/+|\/+$/g, '')
  return trimmed === '' ? '' : `${trimmed}/`
}
