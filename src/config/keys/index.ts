import {
  booleanKind,
  databaseKind,
  durationKind,
  integerKind,
  networkKind,
  patternKind,
  processesKind,
  reserveKind,
  secretKeyKind,
  textKind,
  wordKind,
} from '../kinds.ts'
import { key, list, opaque, section, type Value } from '../nodes.ts'
import { auth } from './auth.ts'
import { http } from './http.ts'
import { log, loglevel } from './log.ts'
import { immutability, quotas, retention } from './rules.ts'
import { clientCertificates, ldap, openid, outgoing, rateLimits, tokens, workloadIdentity } from './sign-in.ts'
import { storage } from './storage.ts'
import { health, notifications } from './watch.ts'

const proxyPart = { later: 'the pull-through cache', quiet: true }

const proxy = section('Being a cache of another registry.', {
  remoteurl: key(textKind, 'The registry that is cached.', {
    status: { later: 'the pull-through cache', unsafe: true },
  }),
  username: key(textKind, 'Who signs in there.', { status: proxyPart }),
  password: key(textKind, 'With which password.', { secret: true, status: proxyPart }),
  exec: opaque('A program that knows the password.', proxyPart),
  ttl: key(textKind, 'How long content is kept.', { status: proxyPart }),
  cachewritetimeout: key(textKind, 'How long keeping it may take.', { status: proxyPart }),
})

const validation = section('What pushed manifests may hold.', {
  disabled: key(booleanKind, 'Whether none of it is checked.', { default: 'false' }),
  enabled: key(
    booleanKind,
    'The older opposite of `disabled`; with it, and without lists of `urls`, layers may have none.',
  ),
  manifests: section('Checks of manifests.', {
    urls: section('The `urls` of layers that lie elsewhere. Not checked when neither list is given.', {
      allow: list('One of these must fit.', key(patternKind, 'A pattern.')),
      deny: list('None of these may fit.', key(patternKind, 'A pattern.')),
    }),
    indexes: section('The images an index names.', {
      platforms: key(wordKind(['all', 'none', 'list']), 'Which of them must be there.', { default: 'all' }),
      platformlist: list(
        'Those for these platforms, with `platforms: list`.',
        section('A platform.', {
          architecture: key(textKind, 'As amd64.'),
          os: key(textKind, 'As linux.'),
        }),
      ),
    }),
  }),
})

/** Keys of which the first wraps others. */
const wrappingKeys = (text: string) =>
  list(
    text,
    section(
      'A key: one of key, file and command.',
      {
        id: key(textKind, 'Its name, which stays.'),
        key: key(secretKeyKind, 'The key itself, for a variable.', { secret: true }),
        file: key(textKind, 'The file that holds it.'),
        command: list(
          'A program that knows it, with its arguments: `wrap` or `unwrap` is added, base64 goes in and comes out.',
          key(textKind, 'A word of it.'),
        ),
      },
      { strict: true },
    ),
  )

const holdfast = section(
  'What registry:2 does not have.',
  {
    data: key(
      textKind,
      'The folder of the database, where the images lie in an object store; else it is with the images.',
      {
        default: { file: '/var/lib/registry', none: 'data' },
      },
    ),
    runasowner: key(booleanKind, 'Whether a process of root goes on as the owner of the volume, as the image does.', {
      default: 'false',
    }),
    processes: key(
      processesKind,
      'How many processes serve; `auto`: one a processor, four at most, and one where there are less than 2 GiB of memory.',
      { default: 'auto' },
    ),
    access: key(
      wordKind(['open', 'public-read', 'closed']),
      'What everybody may do: everything, pull what is not private, or nothing that is not public. By default closed where there are accounts or `auth`, else open.',
    ),
    admin: section(
      'The first administrator, made at the start while there is none.',
      {
        user: key(textKind, 'The name of the account.'),
        passwordfile: key(textKind, 'The file that holds its password.', { variable: 'PASSWORD_FILE' }),
        password: key(textKind, 'Its password.', { secret: true }),
      },
      { strict: true },
    ),
    audit: section(
      'The record of who did what.',
      { keep: key(durationKind, 'How long it is kept.', { default: '8760h' }) },
      { strict: true },
    ),
    gc: section(
      'Blobs that nothing refers to are collected while the registry serves.',
      {
        enabled: key(booleanKind, 'Whether that is done.', { default: 'true' }),
        grace: key(durationKind, 'How long a blob is left alone from when it was last pushed or needed.', {
          default: '24h',
        }),
        untagged: key(
          booleanKind,
          'Whether manifests that no tag, index or subject keeps go to the trash when their grace is over.',
          { default: 'false' },
        ),
        keeppulled: key(durationKind, 'How long such a manifest stays from when it was last pulled.', {
          default: '720h',
        }),
        fuse: key(integerKind(0), 'A run that would take more than so many percent of all content stops and says so.', {
          default: '50',
        }),
      },
      { strict: true },
    ),
    scrub: section(
      'Stored blobs are read again once a day; one that is damaged is moved aside.',
      {
        repairfrom: key(textKind, 'A backup to take good bytes from: a folder, or `s3://BUCKET/PREFIX`.'),
        endpoint: key(textKind, "The URL of that backup's S3 server, where it is not Amazon's."),
        region: key(textKind, 'The region of its bucket.', { default: 'us-east-1' }),
      },
      { strict: true },
    ),
    trash: section(
      'Deleted images can be restored.',
      { keep: key(durationKind, 'For how long.', { default: '168h' }) },
      { strict: true },
    ),
    immutability,
    quotas,
    retention,
    http: section(
      'How the registry is reached.',
      {
        trustedproxies: list(
          'Proxies whose `Forwarded` and `X-Forwarded-*` headers are believed; nobody by default.',
          key(networkKind, 'An address or a network.'),
        ),
      },
      { strict: true },
    ),
    database: section(
      'Where the facts about images are kept: in SQLite beside them, or elsewhere.',
      {
        url: key(databaseKind, 'A database of its own in PostgreSQL 15 or newer.', { secret: true }),
      },
      { strict: true },
    ),
    storage: section(
      'How images are kept.',
      {
        reserve: key(
          reserveKind,
          'What uploads leave free on the disk of the images; below it the trash is emptied before its time. 0: they fill it.',
          { default: 'auto' },
        ),
        followtree: key(booleanKind, "Whether registry:2's tree of links follows, so that the volume can go back.", {
          default: 'true',
        }),
        encryption: section(
          'Encrypting blobs before they are stored.',
          {
            enabled: key(booleanKind, 'Whether new blobs are encrypted; by default where there are keys.'),
            keys: wrappingKeys(
              'Keys that wrap the keys of the volume: the first wraps new ones, the others open what they wrapped before.',
            ),
          },
          { strict: true },
        ),
      },
      { strict: true },
    ),
    secrets: section(
      'Encrypting secrets in the database: the keys that tokens are signed with.',
      {
        keys: wrappingKeys(
          'Keys that wrap the keys of secrets: the first wraps new ones, the others open what they wrapped before.',
        ),
      },
      { strict: true },
    ),
    tokens,
    workloadidentity: workloadIdentity,
    ldap,
    openid,
    clientcertificates: clientCertificates,
    ratelimits: rateLimits,
    outgoing,
    notifications: section(
      'How others are told.',
      {
        version: key(wordKind(['v1', 'v2']), 'The content type of events: of registry:2 (v1) or registry:3 (v2).', {
          default: 'v2',
        }),
        alerts: key(
          booleanKind,
          'Whether endpoints are also told of what an operator must know, as the action `alert`, which registry:2 does not have.',
          { default: 'false' },
        ),
      },
      { strict: true },
    ),
  },
  { strict: true },
)

/**
 * Every key of the configuration file: those of registry:2 and registry:3, and ours under `holdfast`. Reading, checking,
 * explaining and the documentation all follow from this table.
 */
export const keys = section('The configuration file.', {
  version: key(wordKind(['0.1']), "The file's form, always 0.1.", { default: '0.1' }),
  log,
  loglevel,
  storage,
  auth,
  http,
  health,
  notifications,
  catalog: section('The list of repositories.', {
    maxentries: key(integerKind(0), 'The most a page may have.', { default: '1000', zeroIsDefault: true }),
  }),
  tags: section('The lists of tags.', {
    maxtags: key(integerKind(0), 'The most a page may have.', { default: '10000', zeroIsDefault: true }),
  }),
  validation,
  proxy,
  redis: opaque("registry:2's cache in Redis.", {
    ignored: 'facts are read from the database, there is nothing to cache',
  }),
  middleware: opaque('What registry:2 puts between, such as cloudfront.', { later: 'redirects by way of others' }),
  policy: opaque('Which classes of content a repository may hold.', {
    ignored: 'repositories hold all kinds of content',
  }),
  reporting: opaque('Bugsnag and New Relic; gone from registry:3 as well.', {
    ignored: 'nothing is sent to third parties',
  }),
  compatibility: opaque('Manifests of schema 1; gone from registry:3 as well.', {
    ignored: 'clients stopped using schema 1 in 2017',
  }),
  holdfast,
})

export type Keys = Value<typeof keys>
