import { booleanKind, durationKind, integerKind, textKind } from '../kinds.ts'
import { key, opaque, option, section } from '../nodes.ts'
import { azure, gcs, s3 } from './object-stores.ts'

const gone = (instead: string) => ({ ignored: instead, unsafe: true })
const database = 'facts are read from the database, there is nothing to cache'

export const storage = section(
  'Where the images are kept: one of filesystem, inmemory, s3, azure and gcs.',
  {
    filesystem: option('In a folder.', {
      rootdirectory: key(textKind, 'The folder; images lie in `docker/registry/v2` below it, as in registry:2.', {
        default: { file: '/var/lib/registry', none: 'data' },
      }),
      maxthreads: key(integerKind(0), 'How many files registry:2 works on at a time.', {
        status: { ignored: 'the operating system sees to that', quiet: true },
      }),
    }),
    inmemory: option('In a folder that is thrown away at the end, for tests.', {}),
    s3: s3('In Amazon S3 or what speaks like it.'),
    s3aws: s3('The same as `s3`, by its older name.'),
    azure,
    gcs,
    oss: opaque('In Alibaba Cloud OSS; gone from registry:3 as well.', gone('move the images to a folder')),
    swift: opaque('In OpenStack Swift; gone from registry:3 as well.', gone('move the images to a folder')),
    delete: section('Deleting by clients.', {
      enabled: key(booleanKind, 'Whether clients may delete manifests, tags and blobs.', {
        default: { file: 'false', none: 'true' },
      }),
    }),
    redirect: section('Sending clients to the object store.', {
      disable: key(
        booleanKind,
        'Whether blobs always come through the registry; else clients are sent to the object store for them. Blobs in a folder always do.',
        { default: 'false' },
      ),
    }),
    cache: section("registry:2's memory of blobs.", {
      blobdescriptor: key(textKind, 'Where it lies: inmemory or redis.', { status: { ignored: database } }),
      layerinfo: key(textKind, 'The older name of `blobdescriptor`.', { status: { ignored: database } }),
      blobdescriptorsize: key(integerKind(0), 'How many it holds.', { status: { ignored: database, quiet: true } }),
    }),
    tag: section('Looking for the tags of a manifest.', {
      concurrencylimit: key(integerKind(0), 'How many are read at a time.', {
        status: { ignored: 'the database answers that at once', quiet: true },
      }),
    }),
    maintenance: section('Upkeep.', {
      uploadpurging: section('Unfinished uploads are removed.', {
        enabled: key(booleanKind, 'Whether that is done.', { default: 'true' }),
        age: key(durationKind, 'How old they must be.', { default: '168h' }),
        interval: key(durationKind, 'How often it is done.', { default: '24h', zeroIsDefault: true }),
        dryrun: key(booleanKind, 'Whether it is only said in the log.', { default: 'false' }),
      }),
      readonly: section('Reading without writing.', {
        enabled: key(booleanKind, 'Whether pushes, deletes and other changes are refused; who signs in may.', {
          default: 'false',
        }),
      }),
    }),
  },
  { strict: true, choice: true },
)
