import { createPublicKey, hash, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { parseStrictJson } from '../../../oci/strict-json.ts'
import { type Cbor, readCbor } from './cbor.ts'

/** What a browser answers must be about. */
export interface Ceremony {
  challenge: string
  /** `https://registry.example.com`: the only page that may ask. */
  origin: string
}

/** A credential that an authenticator has made. */
export interface Credential {
  id: Buffer
  publicKey: JsonWebKey
  counter: number
}

/** What is wrong with what a browser sent. */
export class Unsound extends Error {}

/** The algorithms there are (COSE): ES256, EdDSA and RS256. */
export const algorithms = [-7, -8, -257]

const [present, verified, attested, extended] = [1, 4, 64, 128]
const maxIdLength = 1023

/**
 * The credential of a registration (Web Authentication Level 3, 7.1). Who made the authenticator is not asked for, so nothing of an attestation
 * is believed.
 * @throws Unsound
 */
export function readRegistration(clientData: Buffer, attestation: Buffer, ceremony: Ceremony): Credential {
  return soundly(() => {
    expectClientData(clientData, 'webauthn.create', ceremony)
    const { value, end } = readCbor(attestation)
    const authData = value instanceof Map ? value.get('authData') : undefined
    if (!Buffer.isBuffer(authData) || end !== attestation.length) throw new Unsound('this is no attestation object')
    const { counter, credential } = readAuthenticatorData(authData, ceremony)
    if (!credential) throw new Unsound('there is no credential')
    return { ...credential, counter }
  })
}

/** Gives the counter of an assertion that the credential has signed (7.2). @throws Unsound */
export function readAssertion(
  { clientData, authData, signature }: { clientData: Buffer; authData: Buffer; signature: Buffer },
  publicKey: JsonWebKey,
  ceremony: Ceremony,
): number {
  return soundly(() => {
    expectClientData(clientData, 'webauthn.get', ceremony)
    const { counter } = readAuthenticatorData(authData, ceremony)
    const signed = Buffer.concat([authData, hash('sha256', clientData, 'buffer')])
    const key = createPublicKey({ key: publicKey, format: 'jwk' })
    const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
    if (!verify(digest, signed, key, signature)) throw new Unsound('the signature is not that of the passkey')
    return counter
  })
}

/** What libraries say of bytes that make no sense is the sender's doing. */
function soundly<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof Unsound) throw error
    throw new Unsound(`it cannot be read: ${(error as Error).message.slice(0, 100)}`)
  }
}

function expectClientData(bytes: Buffer, type: string, { challenge, origin }: Ceremony): void {
  const data = parseStrictJson(bytes)
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new Unsound('clientDataJSON is no object')
  if (data.type !== type) throw new Unsound(`it is no ${type}`)
  if (data.challenge !== challenge) throw new Unsound('it answers another challenge')
  if (data.origin !== origin) throw new Unsound('a page of another site asked for it')
  if (data.crossOrigin === true || data.topOrigin !== undefined) throw new Unsound('a page in a frame asked for it')
}

/** Section 6.1. */
function readAuthenticatorData(bytes: Buffer, { origin }: Ceremony) {
  if (bytes.length < 37) throw new Unsound('the authenticator data are cut short')
  const relyingParty = hash('sha256', new URL(origin).hostname, 'buffer')
  if (!bytes.subarray(0, 32).equals(relyingParty)) throw new Unsound('it is for another site')
  const [flags, counter] = [bytes[32]!, bytes.readUInt32BE(33)]
  if ((flags & present) === 0) throw new Unsound('nobody was there')
  if ((flags & verified) === 0) throw new Unsound('the authenticator did not look who was there')
  let end = 37
  let credential: Omit<Credential, 'counter'> | undefined
  if (flags & attested) ({ credential, end } = readCredential(bytes, end))
  if (flags & extended) ({ end } = readCbor(bytes, end))
  if (end !== bytes.length) throw new Unsound('there is more than authenticator data')
  return { counter, credential }
}

function readCredential(bytes: Buffer, start: number) {
  const from = start + 18 // after the authenticator's model and the length
  if (bytes.length < from) throw new Unsound('the credential is cut short')
  const length = bytes.readUInt16BE(from - 2)
  if (length === 0 || length > maxIdLength || bytes.length < from + length)
    throw new Unsound('its id has no such length')
  const { value, end } = readCbor(bytes, from + length)
  return { credential: { id: bytes.subarray(from, from + length), publicKey: publicKeyOf(value) }, end }
}

/** The key of COSE (RFC 9053) as a JWK, each algorithm with keys of its kind. */
function publicKeyOf(cose: Cbor): JsonWebKey {
  const part = (label: number) => (cose instanceof Map ? cose.get(label) : undefined)
  const text = (label: number) => {
    const bytes = part(label)
    if (!Buffer.isBuffer(bytes)) throw new Unsound('the key has a part missing')
    return bytes.toString('base64url')
  }
  const kind = [1, 3, -1].map(part)
  const isKind = (...wanted: number[]) => wanted.every((one, index) => kind[index] === one)
  let jwk: JsonWebKey
  if (isKind(2, -7, 1)) jwk = { kty: 'EC', crv: 'P-256', x: text(-2), y: text(-3) }
  else if (isKind(1, -8, 6)) jwk = { kty: 'OKP', crv: 'Ed25519', x: text(-2) }
  else if (isKind(3, -257)) jwk = { kty: 'RSA', n: text(-1), e: text(-2) }
  else throw new Unsound('the key is of no kind that is known here')
  expectStrong(createPublicKey({ key: jwk, format: 'jwk' }))
  return jwk
}

function expectStrong({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): void {
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
    throw new Unsound('the key is too short')
}
