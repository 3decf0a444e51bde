import type { Readable } from 'node:stream'
import type { Configuration } from '../config/configuration.ts'
import type { Digest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { streamOf } from '../storage/encrypted/content.ts'
import { openReadable } from '../stores.ts'
import { openPlace } from './place.ts'

/** Bytes of blobs from the backup that is configured. @throws Error where it cannot be read */
export function createRepairSource({ configuration, clock }: { configuration: Configuration; clock: { now(): Date } }) {
  const { repairFrom = '', ...where } = configuration.scrub
  let opened: Promise<StorageDriver> | undefined

  async function open(): Promise<StorageDriver> {
    const raw = await openPlace(repairFrom, { ...where, mayMake: false, clock })
    return openReadable(configuration, raw, clock)
  }

  return async (digest: Digest): Promise<Readable | undefined> => {
    opened ??= open()
    opened.catch(() => (opened = undefined)) // it may be there the next time
    const content = await (await opened).open(blobPath(digest))
    if (!content) return undefined
    const source = streamOf(content)
    source.on('close', () => void content.close().catch(() => undefined))
    return source
  }
}
