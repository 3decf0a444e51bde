import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { noUploadStates } from '../metadata/upload-states.ts'
import { uploadsPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { createFilesystem } from '../storage/filesystem.ts'

export interface PlaceOptions {
  /** Another S3 server than Amazon's: a URL. */
  endpoint?: string | undefined
  region?: string | undefined
  /** Whether a folder that is not there may be made. */
  mayMake: boolean
  clock: { now(): Date }
}

const MiB = 1 << 20

/**
 * The storage at a folder, or at `s3://BUCKET/PREFIX` with the credentials that S3's own tools would take.
 * @throws Error that says what to do
 */
export async function openPlace(address: string, options: PlaceOptions): Promise<StorageDriver> {
  const { endpoint, mayMake, clock } = options
  if (!address.includes('://')) {
    const folder = resolve(address)
    if (!mayMake && !existsSync(folder)) throw new Error(`there is no folder ${folder}`)
    return createFilesystem(folder)
  }
  const [, bucket, prefix = ''] = /^s3:\/\/([^/?#]+)(?:\/([^?#]*))?$/.exec(address) ?? []
  if (bucket === undefined) throw new Error(`${address}: expected a folder, or s3://BUCKET/PREFIX`)
  if (endpoint !== undefined && !(/^https?:\/\//i.test(endpoint) && URL.canParse(endpoint)))
    throw new Error(`${endpoint}: expected the URL of an S3 server, such as https://s3.example.com`)
  const { createObjectStorage, openObjects } = await import('../storage/object/open.ts')
  const id = randomUUID
  const trimmed = prefix.replace(/^\/+|\/+$/g, '')
  const none = { redirectEndpoint: undefined, encryption: undefined, storageClass: undefined, acl: undefined }
  const store = await openObjects(
    {
      ...{ kind: 's3', bucket, region: options.region ?? 'us-east-1', credentials: undefined, ...none },
      ...{ regionEndpoint: endpoint, pathStyle: endpoint !== undefined, secure: !endpoint?.startsWith('http:') },
      ...{ skipVerify: false, accelerate: false, dualStack: false, fips: false, userAgent: undefined },
      prefix: trimmed === '' ? '' : `${trimmed}/`,
      multipartCopy: { threshold: 32 * MiB, size: 32 * MiB, concurrency: 10 },
    },
    { id, clock },
  )
  const fixed = { states: noUploadStates, redirect: false, uploads: uploadsPath, partSize: 8 * MiB }
  return createObjectStorage({ store, id, ...fixed })
}
