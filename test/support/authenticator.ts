import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

type Item = number | string | boolean | Buffer | Item[] | Map<Item, Item>

/** CBOR as authenticators write it. */
export function cbor(item: Item): Buffer {
  if (typeof item === 'boolean') return Buffer.from([item ? 0xf5 : 0xf4])
  if (typeof item === 'number') return item < 0 ? head(1, -1 - item) : head(0, item)
  if (typeof item === 'string') return Buffer.concat([head(3, Buffer.byteLength(item)), Buffer.from(item)])
  if (Buffer.isBuffer(item)) return Buffer.concat([head(2, item.length), item])
  if (Array.isArray(item)) return Buffer.concat([head(4, item.length), ...item.map(cbor)])
  return Buffer.concat([head(5, item.size), ...[...item].flatMap(([key, value]) => [cbor(key), cbor(value)])])
}

function head(kind: number, count: number): Buffer {
  if (count < 24) return Buffer.from([(kind << 5) | count])
  if (count < 256) return Buffer.from([(kind << 5) | 24, count])
  const bytes = Buffer.alloc(3, (kind << 5) | 25)
  bytes.writeUInt16BE(count, 1)
  return bytes
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()

export type KeyKind = 'ec' | 'ed25519' | 'rsa'

/** What a test lets it do otherwise than it should. */
export interface Lies {
  origin?: string
  rpId?: string
  type?: string
  challenge?: string
  flags?: number
  counter?: number
  crossOrigin?: boolean
  more?: Buffer
  key?: KeyObject
}

/** An authenticator in software, which keeps one passkey for a site. */
export function createAuthenticator(origin: string, kind: KeyKind = 'ec') {
  const id = randomBytes(32)
  const pair = makePair(kind)
  const jwk = pair.publicKey.export({ format: 'jwk' })
  const bytes = (part: string | undefined) => Buffer.from(part ?? '', 'base64url')
  const keys: Record<KeyKind, Map<Item, Item>> = {
    ec: new Map<Item, Item>([[1, 2], [3, -7], [-1, 1], [-2, bytes(jwk.x)], [-3, bytes(jwk.y)]]), // prettier-ignore
    ed25519: new Map<Item, Item>([[1, 1], [3, -8], [-1, 6], [-2, bytes(jwk.x)]]), // prettier-ignore
    rsa: new Map<Item, Item>([[1, 3], [3, -257], [-1, bytes(jwk.n)], [-2, bytes(jwk.e)]]), // prettier-ignore
  }
  let counter = 0

  function clientData(type: string, challenge: string, lies: Lies): Buffer {
    const { crossOrigin = false } = lies
    const data = { type: lies.type ?? type, challenge: lies.challenge ?? challenge, origin: lies.origin ?? origin }
    return Buffer.from(JSON.stringify({ ...data, crossOrigin }))
  }

  function authData(flags: number, lies: Lies, credential = Buffer.alloc(0)): Buffer {
    const count = Buffer.alloc(4)
    count.writeUInt32BE(lies.counter ?? counter)
    const site = sha256(lies.rpId ?? new URL(origin).hostname)
    return Buffer.concat([site, Buffer.from([lies.flags ?? flags]), count, credential, lies.more ?? Buffer.alloc(0)])
  }

  return {
    id: id.toString('base64url'),
    counts: (from: number) => (counter = from),
    /** What `navigator.credentials.create` gives. */
    create(challenge: string, lies: Lies = {}, key = keys[kind]) {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(id.length)
      const credential = Buffer.concat([Buffer.alloc(16), length, id, cbor(key)])
      const attestation = new Map<Item, Item>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData(0x45, lies, credential)],
      ])
      return {
        challenge,
        clientDataJSON: clientData('webauthn.create', challenge, lies).toString('base64url'),
        attestationObject: cbor(attestation).toString('base64url'),
      }
    },
    /** What `navigator.credentials.get` gives. */
    get(challenge: string, lies: Lies = {}) {
      if (counter > 0) counter++
      const [client, data] = [clientData('webauthn.get', challenge, lies), authData(0x05, lies)]
      const signed = Buffer.concat([data, sha256(client)])
      const signature = sign(kind === 'ed25519' ? null : 'sha256', signed, lies.key ?? pair.privateKey)
      return {
        credential: id.toString('base64url'),
        clientDataJSON: client.toString('base64url'),
        authenticatorData: data.toString('base64url'),
        signature: signature.toString('base64url'),
      }
    },
  }
}

function makePair(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
}
