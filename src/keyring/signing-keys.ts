import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { libtrustId, thumbprint } from '../auth/jwk.ts'
import type { Secrets } from '../auth/vault.ts'
import type { Log } from '../platform/log.ts'
import { createCertificate, toPem } from './certificate.ts'

const [hour, day] = [3_600_000, 86_400_000]
/** How long a key signs, and how long before that it is published. */
const signsFor = 90 * day
const announcedFor = day
/** How long a key that signs no more is known: longer than any token lasts. */
const knownFor = 2 * hour
/** How late a node may learn of a key that another has made; it signs a day later. */
const lookEvery = hour
const year = 365 * day
const attempts = 5

/** The kind of these keys in the vault. */
export const signingKeyKind = 'token-key'
const authorityName = 'Holdfast token authority'

/** A key as the database keeps it. */
interface Kept {
  privateKey: string
  /** DER in base64. */
  certificate: string
  /** When it begins to sign, in milliseconds since 1970. */
  from: number
}

export interface SigningKey {
  /** RFC 7638, as registry:3 has it. */
  id: string
  privateKey: KeyObject
  publicKey: KeyObject
  certificate: string
  from: number
}

interface Deps {
  vault: Secrets
  clock: { now(): Date }
  log: Log
}

/**
 * The keys tokens are signed with: in the database, so that all nodes have the same. A new one is made every 90 days, published a
 * day before it signs, and known for as long as its tokens last. An authority that stays vouches for all of them, so that
 * registries that trust it need not be told of new keys.
 */
export function createKeys({ vault, clock, log }: Deps) {
  const now = () => clock.now().getTime()
  let keys: SigningKey[] = []
  let authority: SigningKey
  let lookedAt = 0
  let looking: Promise<void> | undefined

  /** Reads the keys; makes what is missing. Of several nodes that do so at once one wins, and all read what it made. */
  async function load(): Promise<void> {
    await vault.seal(signingKeyKind)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const root = (await vault.get(signingKeyKind, 'authority')) ?? (await makeAuthority())
      authority = open(root.text)
      const kept = (await vault.list(signingKeyKind)).filter(({ id }) => id.startsWith('key-'))
      // Those of another authority are left of one that was thrown away by half: nobody else would take their tokens.
      const vouched = kept.map(({ text }) => open(text)).filter((key) => isVouchedFor(key, authority))
      if (vouched.length > 0) {
        keys = vouched
        lookedAt = now()
        return
      }
      await make(kept.length === 0 ? 1 : numberOf(kept.at(-1)!.id) + 1, now())
    }
    throw new Error('others throw the keys away that tokens are signed with')
  }

  async function makeAuthority() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const signer = { name: authorityName, publicKey, privateKey }
    const [from, until] = [new Date(now() - day), new Date(now() + 20 * year)]
    const certificate = createCertificate({ publicKey, name: authorityName, signer, isAuthority: true, from, until })
    await vault.add(signingKeyKind, 'authority', { text: keep(privateKey, certificate, now()), endsAt: undefined })
    return (await vault.get(signingKeyKind, 'authority'))!
  }

  async function make(number: number, from: number): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const certificate = createCertificate({
      publicKey,
      name: `Holdfast tokens ${number}`,
      signer: { name: authorityName, publicKey: authority.publicKey, privateKey: authority.privateKey },
      isAuthority: false,
      from: new Date(now() - day),
      until: new Date(now() + year),
    })
    const text = keep(privateKey, certificate, from)
    if (await vault.add(signingKeyKind, idOf(number), { text, endsAt: undefined }))
      log.info('token-key.made', { number, key: thumbprint(publicKey), signs: new Date(from).toISOString() })
  }

  /** Reads again, unless that was just done. */
  function look(): Promise<void> {
    lookedAt = now() // also when it fails: once is enough
    looking ??= load()
      .catch((error: unknown) => log.error('token-keys.unreadable', { error: String(error) }))
      .finally(() => (looking = undefined))
    return looking
  }

  return {
    load,
    /** The key that signs now. */
    current(): SigningKey {
      if (now() - lookedAt >= lookEvery) void look()
      return keys.findLast(({ from }) => from <= now()) ?? keys[0]!
    },
    /** The key of this id; also one that another node made just now. */
    async find(id: string): Promise<KeyObject | undefined> {
      const known = keys.find((key) => key.id === id)
      if (known) return known.publicKey
      if (now() - lookedAt >= 1000) await look()
      return keys.find((key) => key.id === id)?.publicKey
    },
    /** Makes the next key when it is time, and lets those end that sign no more. */
    async rotate(): Promise<void> {
      await load()
      const entries = (await vault.list(signingKeyKind)).filter(({ id }) => id.startsWith('key-'))
      const last = open(entries.at(-1)!.text)
      if (now() + announcedFor >= last.from + signsFor)
        await make(numberOf(entries.at(-1)!.id) + 1, now() + announcedFor)
      for (const [index, { id, endsAt }] of entries.entries()) {
        const next = entries[index + 1]
        if (next && !endsAt) await vault.extend(signingKeyKind, id, new Date(open(next.text).from + knownFor))
      }
      await load()
    },
    /** The public keys (RFC 7517): under the ids of registry:3 and, for what looks there, of registry:2. */
    jwks(): string {
      const all = keys.flatMap(({ id, publicKey, certificate }) =>
        [id, libtrustId(publicKey)].map((kid) => ({
          ...publicKey.export({ format: 'jwk' }),
          kid,
          use: 'sig',
          alg: 'ES256',
          x5c: [certificate],
        })),
      )
      return JSON.stringify({ keys: all })
    },
    /** The authority's certificate (PEM), for the `rootcertbundle` of other registries. */
    certificates: () => toPem(Buffer.from(authority.certificate, 'base64')),
  }
}

function isVouchedFor({ certificate }: SigningKey, authority: SigningKey): boolean {
  return new X509Certificate(Buffer.from(certificate, 'base64')).verify(authority.publicKey)
}

const numberOf = (id: string) => Number(id.slice('key-'.length))
const idOf = (number: number) => `key-${String(number).padStart(6, '0')}`

function keep(privateKey: KeyObject, certificate: Buffer, from: number): string {
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return JSON.stringify({ privateKey: pem, certificate: certificate.toString('base64'), from } satisfies Kept)
}

function open(text: string): SigningKey {
  const { privateKey: pem, certificate, from } = JSON.parse(text) as Kept
  const privateKey = createPrivateKey(pem)
  const publicKey = createPublicKey(privateKey)
  return { id: thumbprint(publicKey), privateKey, publicKey, certificate, from }
}
