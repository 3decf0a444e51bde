import type { Configuration } from '../config/configuration.ts'

/** So long what a client has just pushed, mounted or asked for is left alone while the registry serves, also without a grace. */
const pushMs = 3_600_000
/** Between the moment bytes are nobody's and their deletion: whoever has just published the same is done by then. */
const settleMs = 10_000
const day = 86_400_000

/** Moments in milliseconds: what is older goes. */
export interface Limits {
  /** Blobs nobody is known to need. */
  doubted: number
  /** Since when what an ended manifest referred to counts as doubted. */
  ended: number
  /** The start of uploads that keep their repository from being collected. */
  uploads: number | undefined
  trashed: number
  /** What was pulled since is kept. */
  pulled: number
  condemned: number
  /** How long it is remembered that bytes were deleted. */
  deleted: number
  /** Files that nothing is known of. */
  files: number
}

/** What goes in a run that begins now; where nobody serves nobody pushes. */
export function limitsAt(
  now: number,
  { collection, trash }: Pick<Configuration, 'collection' | 'trash'>,
  isServing: boolean,
): Limits {
  const graceMs = isServing ? collection.graceMs : 0
  const least = isServing ? pushMs : 0
  return {
    doubted: now - Math.max(graceMs, least),
    ended: now, // a client may have been told of it while the trash still held it
    uploads: isServing ? now - day : undefined,
    pulled: now - collection.keepPulledMs,
    trashed: now - trash.keepMs,
    condemned: now - (isServing ? settleMs : 0),
    deleted: now - day,
    files: now - day,
  }
}

/** What may go where the disk is nearly full: all but what was pushed or deleted in the last hour. Uploads are refused then. */
export function pressedLimitsAt(limits: Limits, now: number): Limits {
  const moment = Math.max(limits.doubted, now - pushMs)
  return { ...limits, doubted: moment, trashed: moment, ended: moment, uploads: undefined }
}
