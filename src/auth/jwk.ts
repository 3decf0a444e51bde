import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
import { isUsable } from './jwt.ts'

/** The id of a public key by RFC 7638, as registry:3 has it. */
export function thumbprint(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' })
  return hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url') // what a kind lacks is left out, the order stays
}

/** What registry:2 calls a key (libtrust): 240 bits of its hash in groups of four letters. */
export function libtrustId(key: KeyObject): string {
  const digest = hash('sha256', key.export({ type: 'spki', format: 'der' }), 'buffer').subarray(0, 30)
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  let bits = 0n
  for (const byte of digest) bits = (bits << 8n) | BigInt(byte)
  const text = Array.from({ length: 48 }, (_, index) => letters[Number((bits >> BigInt(5 * (47 - index))) & 31n)])
  return text.join('').match(/.{4}/g)!.join(':')
}

/**
 * The public keys of a JWKS (RFC 7517) by their ids; of those without one, by their thumbprints. Keys that are not for signing,
 * or of a kind that tokens are not signed with here, are left out; so are private parts.
 * @throws Error when it is no JWKS
 */
export function readJwks(text: string): Map<string, KeyObject> {
  const document: unknown = JSON.parse(text)
  const { keys } = (typeof document === 'object' && document !== null ? document : {}) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('expected {"keys": […]}')
  const found = new Map<string, KeyObject>()
  for (const jwk of keys as (JsonWebKey & { kid?: unknown; use?: unknown })[]) {
    if (jwk?.use !== undefined && jwk.use !== 'sig') continue
    const key = publicKeyOf(jwk)
    if (key && isUsable(key)) found.set(typeof jwk.kid === 'string' ? jwk.kid : thumbprint(key), key)
  }
  return found
}

function publicKeyOf(jwk: JsonWebKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined // a secret, or a curve that there is not
  }
}
