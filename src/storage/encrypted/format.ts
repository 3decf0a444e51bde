import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { InnerKey } from '../../keyring/keyring.ts'
import { unwrap, wrap } from '../../keyring/wrapping.ts'
import { free } from '../receive.ts'

// Encrypted content, version 1 (docs/decisions/0006):
//
//   header   magic and version (8), id of the volume key (8), data key wrapped by it (40)
//   chunks   nonce (12), ciphertext of 64 KiB (the last one: of what is left), tag (16)
//
// AES-256-GCM under a data key of its own. Each chunk vouches for its place and for whether it is the last one.

const magic = Buffer.from('HFCRYPT\x01', 'latin1')
const nonceSize = 12
const tagSize = 16

/** Plain bytes of each chunk but the last. */
export const chunkSize = 64 << 10
/** Bytes a chunk is longer than what it holds. */
const overhead = nonceSize + tagSize
export const sealedChunk = chunkSize + overhead
export const headerSize = magic.length + 8 + 40

/** Where a chunk stands: in the middle, at the end of the content, or beside content that is still on its way in. */
export type Mark = 'middle' | 'last' | 'held'
const marks: Record<Mark, number> = { middle: 0, last: 1, held: 2 }

/** The way a chunk is encrypted or decrypted: its content's key, its number and its mark. */
export interface Place {
  dataKey: KeyObject
  index: number
  mark: Mark
}

/** What was stored is not what was written: told from a key that is not there. */
export function damaged(what: string): Error {
  return Object.assign(new Error(`encrypted content is damaged: ${what}`), { code: 'EBADMSG' })
}

/** A new data key, and the header that holds it. */
export function makeHeader({ id, key }: InnerKey): { header: Buffer; dataKey: KeyObject } {
  const dataKey = randomBytes(32)
  const header = Buffer.concat([magic, Buffer.from(id, 'hex'), wrap(dataKey, key)])
  return { dataKey: createSecretKey(dataKey), header } // as bytes it would be looked at again for each chunk
}

/** The data key in a header. @throws Error with the code EBADMSG when it is damaged */
export async function readHeader(header: Buffer, find: (id: string) => Promise<InnerKey>): Promise<KeyObject> {
  if (header.length !== headerSize || !header.subarray(0, magic.length).equals(magic)) throw damaged('no header')
  const { key } = await find(header.toString('hex', magic.length, magic.length + 8))
  const dataKey = unwrap(header.subarray(magic.length + 8), key)
  if (!dataKey) throw damaged('its key')
  return createSecretKey(dataKey)
}

/** The size of content of so many stored bytes; 0 where no content has that many. */
export function plainSize(stored: number): number {
  const body = stored - headerSize
  const count = Math.ceil(body / sealedChunk)
  const last = body - (count - 1) * sealedChunk
  // A last chunk of nothing is there only where it is the only one.
  if (body < overhead || last < overhead || (last === overhead && count > 1)) return 0
  return body - count * overhead
}

/** Encrypts pieces, which are used up, as one chunk; gives it in pieces. */
export function seal(pieces: Buffer[], { dataKey, index, mark }: Place): Buffer[] {
  const nonce = randomBytes(nonceSize)
  const cipher = createCipheriv('aes-256-gcm', dataKey, nonce)
  cipher.setAAD(vouched(index, mark))
  const sealed = [nonce]
  for (const piece of pieces) {
    if (piece.length > 0) sealed.push(cipher.update(piece))
    free(piece)
  }
  cipher.final()
  sealed.push(cipher.getAuthTag())
  return sealed
}

/** Decrypts a chunk. @throws Error with the code EBADMSG when it is not what was written, or not where */
export function unseal(sealed: Buffer, { dataKey, index, mark }: Place): Buffer {
  if (sealed.length < overhead) throw damaged(`chunk ${index} is cut`)
  const decipher = createDecipheriv('aes-256-gcm', dataKey, sealed.subarray(0, nonceSize), { authTagLength: tagSize })
  decipher.setAAD(vouched(index, mark))
  decipher.setAuthTag(sealed.subarray(sealed.length - tagSize))
  const plain = decipher.update(sealed.subarray(nonceSize, sealed.length - tagSize))
  try {
    decipher.final()
  } catch {
    throw damaged(`chunk ${index}`)
  }
  return plain
}

function vouched(index: number, mark: Mark): Buffer {
  const bytes = Buffer.alloc(9)
  bytes.writeBigUInt64BE(BigInt(index))
  bytes[8] = marks[mark]
  return bytes
}
