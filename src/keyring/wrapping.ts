import { createCipheriv, createDecipheriv } from 'node:crypto'

const standard = Buffer.alloc(8, 0xa6)

/** A key under another one (RFC 3394): needs no nonce, and notices another key. */
export function wrap(key: Buffer, by: Buffer): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', by, standard)
  return Buffer.concat([cipher.update(key), cipher.final()])
}

/** Undefined when it was not wrapped by this key. */
export function unwrap(wrapped: Buffer, by: Buffer): Buffer | undefined {
  try {
    const decipher = createDecipheriv('id-aes256-wrap', by, standard)
    const key = Buffer.concat([decipher.update(wrapped), decipher.final()])
    return key.length === 32 ? key : undefined
  } catch {
    return undefined
  }
}
