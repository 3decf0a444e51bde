import { constants, type KeyObject, sign, verify } from 'node:crypto'
import { type JsonObject, parseStrictJson } from '../oci/strict-json.ts'

/** A token in its parts (RFC 7519, compact form); nothing of it is believed yet. */
export interface Jwt {
  header: JsonObject
  claims: JsonObject
  /** What the signature is about. */
  signed: string
  signature: Buffer
}

/** What must hold of the claims beside the signature. */
export interface Expected {
  issuer: string
  /** One of them must be in `aud`. */
  audiences: readonly string[]
  /** Milliseconds since 1970. */
  now: number
}

/** Longer ones go into no header of ours, and into no one's by need. */
const maxLength = 12_000
/** How far clocks may differ, in seconds; registry:3 has the same. */
export const leeway = 60

/**
 * Takes a token apart, so strictly that nobody can understand it differently: no second key of the same name, no other spelling
 * of its base64, nothing before, between and after. Undefined when it is none.
 */
export function readJwt(text: string): Jwt | undefined {
  if (text.length > maxLength) return undefined
  const [head = '', body = '', signature = '', ...rest] = text.split('.')
  const [header, claims] = [readObject(head), readObject(body)]
  const bytes = readBase64(signature)
  if (!header || !claims || !bytes || rest.length > 0) return undefined
  return { header, claims, signed: `${head}.${body}`, signature: bytes }
}

function readObject(part: string): JsonObject | undefined {
  const bytes = readBase64(part)
  try {
    const value = bytes && parseStrictJson(bytes)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function readBase64(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return part !== '' && bytes.toString('base64url') === part ? bytes : undefined
}

type Curve = 'prime256v1' | 'secp384r1' | 'secp521r1'
type Method =
  | { key: 'ec'; curve: Curve; hash: string }
  | { key: 'rsa'; hash: string; padding: number }
  | { key: 'ed25519' }

const { RSA_PKCS1_PADDING: pkcs1, RSA_PKCS1_PSS_PADDING: pss } = constants

/** The algorithms there are (RFC 7518, RFC 8037), each for keys of one kind. `none` and HS… are not among them. */
const methods: Record<string, Method> = {
  ES256: { key: 'ec', curve: 'prime256v1', hash: 'sha256' },
  ES384: { key: 'ec', curve: 'secp384r1', hash: 'sha384' },
  ES512: { key: 'ec', curve: 'secp521r1', hash: 'sha512' },
  RS256: { key: 'rsa', hash: 'sha256', padding: pkcs1 },
  RS384: { key: 'rsa', hash: 'sha384', padding: pkcs1 },
  RS512: { key: 'rsa', hash: 'sha512', padding: pkcs1 },
  PS256: { key: 'rsa', hash: 'sha256', padding: pss },
  PS384: { key: 'rsa', hash: 'sha384', padding: pss },
  PS512: { key: 'rsa', hash: 'sha512', padding: pss },
  EdDSA: { key: 'ed25519' },
}

/** Whether a public key is one that tokens may be signed with here: elliptic curves of the table, RSA from 2048 bits, Ed25519. */
export function isUsable(key: KeyObject): boolean {
  return key.type === 'public' && Object.values(methods).some((method) => fits(key, method))
}

function fits({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, method: Method): boolean {
  if (asymmetricKeyType !== method.key) return false
  if (method.key === 'ec') return asymmetricKeyDetails?.namedCurve === method.curve
  return method.key !== 'rsa' || (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
}

/**
 * Whether this public key made the signature. The key decides what it can be used for, not the token: an `alg` for another kind
 * of key is no signature at all. Without `algorithms` all that are sound count.
 */
export function isSignedBy(
  { header, signed, signature }: Jwt,
  key: KeyObject,
  algorithms?: readonly string[],
): boolean {
  const { alg } = header
  if (typeof alg !== 'string' || !Object.hasOwn(methods, alg) || algorithms?.includes(alg) === false) return false
  const method = methods[alg]!
  // Extensions that must be understood (RFC 7515 4.1.11): there are none.
  if (header.crit !== undefined || key.type !== 'public' || !fits(key, method)) return false
  const data = Buffer.from(signed)
  if (method.key === 'ed25519') return verify(null, data, key, signature)
  if (method.key === 'ec') return verify(method.hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature)
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
  return verify(
    method.hash,
    data,
    { key, padding: method.padding, ...(method.padding === pss && { saltLength }) },
    signature,
  )
}

/** Why claims do not hold now and here; undefined when they do. */
export function objectionTo({ iss, aud, exp, nbf }: JsonObject, expected: Expected): string | undefined {
  const now = expected.now / 1000
  const audiences = Array.isArray(aud) ? aud : [aud]
  if (iss !== expected.issuer) return 'another issuer'
  if (!audiences.some((one) => typeof one === 'string' && expected.audiences.includes(one))) return 'another audience'
  if (typeof exp !== 'number' || exp + leeway <= now) return 'expired'
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf - leeway > now)) return 'not yet valid'
  return undefined
}

/** Signs claims with an elliptic P-256 key (ES256). */
export function signJwt(header: Record<string, unknown>, claims: Record<string, unknown>, key: KeyObject): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ typ: 'JWT', alg: 'ES256', ...header })}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
