import { OciError } from '../../oci/errors.ts'
import { free } from '../receive.ts'
import type { Multipart, ObjectStore, Part } from './store.ts'

const MiB = 1 << 20
/** One upload never holds more of its bytes in memory. */
const maxHeld = 32 * MiB
/** After so many parts their size is doubled, until it is as large as memory allows. */
const partsOfASize = 1000

/** The bytes of an upload that lie in the store as parts. */
export interface Stored {
  upload: Multipart
  parts: readonly Part[]
  size: number
  /** Numbers up to this one may be in use: whoever goes on takes the next, so that no writer overwrites another's part. */
  reserved: number
}

interface Deps {
  store: ObjectStore
  /** Bytes of the first parts. */
  partSize: number
  /** Where the upload is begun. */
  key: string
  stored: Stored | undefined
  /** Told before a part is sent whose number is not reserved yet. @throws when another writer was quicker */
  reserve(stored: Stored): Promise<void>
}

/** Sends parts one after the other while the next one is gathered. */
export function createPartWriter({ store, partSize, key, stored, reserve }: Deps) {
  let present = stored
  let next = (stored?.reserved ?? 0) + 1
  let sending: Promise<void> = Promise.resolve()
  const nextSize = () =>
    Math.min(
      maxHeld,
      Math.max(partSize, store.limits.leastPart) * 2 ** Math.floor((present?.parts.length ?? 0) / partsOfASize),
    )

  async function begin(): Promise<Stored> {
    if (present && next <= present.reserved) return present
    if (next > store.limits.parts) throw tooLarge(present?.size ?? 0)
    const upload = present?.upload ?? (await store.begin(key))
    const reserved = next + 15
    const before = present
    present = { upload, parts: present?.parts ?? [], size: present?.size ?? 0, reserved }
    try {
      await reserve(present)
    } catch (error) {
      if (!before) await store.abort(upload).catch(() => undefined) // the first error says more
      present = before
      throw error
    }
    return present
  }

  return {
    /** Bytes of the next part. */
    nextSize,
    /** What surely lies in the store, once all that was sent is there. */
    stored: () => present,
    /** Whether the next part may be gathered while one is on its way. */
    mayOverlap: () => 2 * nextSize() <= maxHeld,
    /** Resolves when nothing is on its way. @throws what kept a part from getting there */
    settled: () => sending,

    /** Sends a part once the one before has got there; its memory is given back when it has too. */
    async send(body: Buffer[], bytes: number, giveBack: () => void): Promise<void> {
      try {
        await sending
      } catch (error) {
        giveBack()
        throw error
      }
      sending = sendNext(body, bytes).finally(giveBack)
      sending.catch(() => undefined) // it is thrown where it is waited for
    },

    /** Adds an object that lies in the store, without its bytes coming here. */
    async addObject(from: string, size: number): Promise<void> {
      await sending
      const stored = await begin()
      const added = await store.copyParts(stored.upload, next, from, size)
      take(stored, added, size)
    },
  }

  async function sendNext(body: Buffer[], bytes: number): Promise<void> {
    const stored = await begin()
    const part = await store.putPart(stored.upload, next, body)
    take(stored, [part], bytes)
    for (const chunk of body) free(chunk)
  }
  function take(stored: Stored, added: Part[], bytes: number): void {
    present = { ...stored, parts: [...stored.parts, ...added], size: stored.size + bytes }
    next += added.length
  }
}

export type PartWriter = ReturnType<typeof createPartWriter>

function tooLarge(size: number): OciError {
  return new OciError('SIZE_INVALID', {
    status: 413,
    message: `the store takes no more than ${Math.floor(size / 2 ** 30)} GiB in one blob: push it in smaller layers`,
  })
}
