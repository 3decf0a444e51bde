import { randomUUID } from 'node:crypto'
import type { RunOptions } from '../../collection/collector.ts'
import { createDisk, type Room } from '../../platform/disk.ts'
import { lengthOf } from '../../http/body.ts'
import type { HttpRequest } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import { type Alert, createAlert } from '../alert.ts'
import { createAsked } from '../asked.ts'
import type { Feature, Platform, Serving } from '../feature.ts'

const lookMs = 1000
/** Between two times that room is asked for: what was found for the last one is deleted by then. */
const askMs = 15_000

/** Refuses uploads before the disk is full: what the reserve leaves is for the database, for deleting and for what is under way. */
export function disk(platform: Platform, { metrics }: Pick<Serving, 'metrics'>): Feature {
  const { configuration, log } = platform
  const { root, reserve, objects, readOnly } = configuration.storage
  if (objects || readOnly || reserve.bytes === 0) return { name: 'disk' }
  const { room, take } = createDisk(root, reserve)
  const refused = metrics?.counter('holdfast_uploads_refused_total', 'Uploads refused because the disk is nearly full')
  for (const [name, help] of Object.entries({
    free: 'Bytes that are free on the disk of the images',
    size: 'The size of that disk',
    reserve: 'Bytes that uploads leave free there',
  } as const))
    metrics?.gauge(`holdfast_storage_${name}_bytes`, help, () => room()[name as 'free'], { across: 'max' })
  let isLow = false
  const makeRoom = createMakeRoom(platform)

  function refuseUploads(request: HttpRequest): void {
    if (!isUpload(request)) return
    const { free, size, reserve: kept } = room()
    const length = lengthOf(request.headers) ?? 0
    // No free room would be enough: the client need not come again. (0: the disk did not say.)
    if (size > 0 && length > size)
      throw new OciError('SIZE_INVALID', { status: 413, message: 'the body is larger than the disk of this registry' })
    if (isLow !== free < kept) tell(free, kept)
    if (free >= kept + length) return take(length)
    refused?.([])
    // Below the reserve the collector sees it by itself. No header shall empty the trash: no more than a reserve's worth is made.
    if (free >= kept) makeRoom(Math.ceil(kept + Math.min(length, kept) - free))
    throw new OciError('UNAVAILABLE', {
      status: 507,
      message:
        'the registry is nearly out of disk space: pulling and deleting go on; free some, or ask its operator, and push again',
    })
  }

  function tell(free: number, kept: number): void {
    isLow = free < kept
    if (isLow)
      log.warn('storage.low', {
        ...{ freeBytes: free, reserveBytes: Math.round(kept) },
        message: 'uploads are refused until there is more room, and the trash is emptied before its time',
      })
    else log.info('storage.recovered', { freeBytes: free })
  }

  return { name: 'disk', gates: [refuseUploads], duty: watch({ room, alert: createAlert(platform) }) }
}

/** Has the collector free so many bytes, though more than the reserve is free, because an upload is longer than what is left. */
function createMakeRoom({ configuration, vault, clock, log }: Platform): (bytes: number) => void {
  const asked = createAsked<RunOptions>({ vault, clock, kind: 'collection' })
  let askedAt = -Infinity
  return (lacking) => {
    if (!configuration.collection.enabled || lacking <= 0 || performance.now() < askedAt + askMs) return
    askedAt = performance.now()
    asked
      .ask({ id: randomUUID(), lacking })
      .catch((error: unknown) => log.error('storage.room-not-asked', { error: String(error) }))
  }
}

/** Alerts when the disk has become too full for uploads, and when it no longer is. */
function watch({ room, alert }: { room(): Room; alert: Alert }): NonNullable<Feature['duty']> {
  let wasLow = false
  let timer: NodeJS.Timeout | undefined
  function look(): void {
    const { free, size, reserve } = room()
    const isLow = free < reserve
    if (isLow !== wasLow) void alert(isLow ? 'storage.low' : 'storage.recovered', { free, size, reserve })
    wasLow = isLow
  }
  return {
    begin: async () => void (timer = setInterval(look, lookMs).unref()),
    end: async () => clearInterval(timer),
  }
}

/** Bytes of blobs on their way in; a mount brings none. */
function isUpload(request: HttpRequest): boolean {
  const { method, path } = request
  if (method !== 'PATCH' && method !== 'PUT' && method !== 'POST') return false
  return path.includes('/blobs/uploads') && !request.query.has('mount') // a query is taken apart when it is asked for
}
