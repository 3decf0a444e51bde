import { booleanKind, durationKind, integerKind, textKind, urlKind, wordKind } from '../kinds.ts'
import { key, option, section } from '../nodes.ts'

const rootdirectory = key(textKind, 'What stands before every path; nothing by default.')
const skipverify = key(booleanKind, "Whether any certificate of the server's is taken.", { default: 'false' })
const bytes = integerKind(0)
const unneeded = { ignored: 'the e-mail address and the private key say it all', quiet: true }

/** The keys of `s3`, under a name of its own for each of its two names. */
export function s3(doc: string) {
  return option(doc, {
    bucket: key(textKind, 'The bucket, which must be there.'),
    region: key(textKind, 'Where it is, such as eu-central-1.'),
    accesskey: key(textKind, 'The access key; by default it comes from the environment, files in ~/.aws or a role.'),
    secretkey: key(textKind, 'Its secret.', { secret: true }),
    sessiontoken: key(textKind, 'What temporary keys come with.', { secret: true }),
    regionendpoint: key(textKind, "Another server than Amazon's: a URL, or HOST:PORT."),
    forcepathstyle: key(
      booleanKind,
      'Whether the bucket stands in the path and not in the host; by default it does with a `regionendpoint`, as in registry:2.',
    ),
    redirectendpoint: key(urlKind, 'Where clients find the bucket, if that is not where the registry does.'),
    secure: key(booleanKind, 'Whether TLS is used where the endpoint has no scheme.', { default: 'true' }),
    skipverify,
    rootdirectory,
    encrypt: key(booleanKind, 'Whether the store encrypts what it keeps.', { default: 'false' }),
    keyid: key(textKind, "The key of the store's key service for that; without it the store's own."),
    storageclass: key(
      wordKind([
        'NONE',
        'STANDARD',
        'REDUCED_REDUNDANCY',
        'STANDARD_IA',
        'ONEZONE_IA',
        'INTELLIGENT_TIERING',
        'OUTPOSTS',
        'GLACIER_IR',
        'EXPRESS_ONEZONE',
      ]),
      'How the store keeps objects; by default as the bucket says.',
    ),
    objectacl: key(
      wordKind([
        'private',
        'public-read',
        'public-read-write',
        'aws-exec-read',
        'authenticated-read',
        'bucket-owner-read',
        'bucket-owner-full-control',
      ]),
      'Who else may read objects; by default as the bucket says.',
    ),
    chunksize: key(bytes, 'Bytes of the first parts of an upload, from 5 to 32 MiB; later ones are larger.', {
      default: '8388608',
      zeroIsDefault: true,
    }),
    multipartcopythresholdsize: key(bytes, 'From how many bytes on a copy inside the store is made in parts.', {
      default: '33554432',
      zeroIsDefault: true,
    }),
    multipartcopychunksize: key(bytes, 'Bytes of such a part, 5 MiB at least.', {
      default: '33554432',
      zeroIsDefault: true,
    }),
    multipartcopymaxconcurrency: key(integerKind(0), 'How many of them are made at a time.', {
      default: '100',
      zeroIsDefault: true,
    }),
    accelerate: key(booleanKind, 'Whether S3 Transfer Acceleration is used.', { default: 'false' }),
    usedualstack: key(booleanKind, 'Whether the endpoint with IPv6 is used.', { default: 'false' }),
    usefipsendpoint: key(booleanKind, 'Whether the endpoint with FIPS 140 is used.', { default: 'false' }),
    useragent: key(textKind, 'What the registry calls itself towards the store.'),
    v4auth: key(booleanKind, 'Whether requests are signed by version 4.', {
      status: { ignored: 'requests are always signed by version 4, which every server takes', quiet: true },
    }),
    loglevel: key(textKind, "What the library of registry:2's logged.", {
      status: { ignored: 'failures of the store are in the log of the registry', quiet: true },
    }),
  })
}

export const azure = option('In Azure Blob Storage.', {
  accountname: key(textKind, 'The storage account.'),
  accountkey: key(textKind, 'Its key.', { secret: true }),
  container: key(textKind, 'The container, which must be there.'),
  connectionstring: key(textKind, 'Account and key, or a shared access signature, in one text as Azure shows it.', {
    secret: true,
  }),
  credentials: section('Who the registry is towards Azure, where it has no account key.', {
    type: key(
      wordKind(['shared_key', 'client_secret', 'default_credentials']),
      'Of which kind; default_credentials are what the environment has.',
      {
        default: 'shared_key',
      },
    ),
    tenantid: key(textKind, 'The tenant, for client_secret.'),
    clientid: key(textKind, 'The application, for client_secret.'),
    secret: key(textKind, 'Its secret.', { secret: true }),
  }),
  serviceurl: key(urlKind, 'Where the blob service is; by default https://ACCOUNT.blob.REALM.'),
  realm: key(textKind, 'The domain of that.', { default: 'core.windows.net' }),
  rootdirectory,
  skipverify,
  max_retries: key(bytes, 'How often something is tried again.', { default: '5', zeroIsDefault: true }),
  retry_delay: key(durationKind, 'The first pause before that; each is longer than the one before.', {
    default: '100ms',
    zeroIsDefault: true,
  }),
})

export const gcs = option('In Google Cloud Storage.', {
  bucket: key(textKind, 'The bucket, which must be there.'),
  keyfile: key(textKind, "The file with a service account's key; by default credentials are what the environment has."),
  credentials: option('The same key, right here.', {
    type: key(textKind, 'Always service_account.'),
    client_email: key(textKind, 'Whose key it is.'),
    private_key: key(textKind, 'The key itself.', { secret: true }),
    ...Object.fromEntries(
      [
        'project_id',
        'private_key_id',
        'client_id',
        'auth_uri',
        'token_uri',
        'auth_provider_x509_cert_url',
        'client_x509_cert_url',
        'universe_domain',
      ].map((name) => [name, key(textKind, 'As Google gives it out.', { status: unneeded })]),
    ),
  }),
  rootdirectory,
  chunksize: key(bytes, 'Bytes of the first parts of an upload, 32 MiB at most; later ones are larger.', {
    default: '8388608',
    zeroIsDefault: true,
  }),
  maxconcurrency: key(bytes, 'How many requests registry:2 makes at a time.', {
    status: { ignored: 'uploads share a bounded memory instead', quiet: true },
  }),
  endpoint: key(urlKind, "Another server than Google's, which is asked without credentials unless a key is given."),
})
