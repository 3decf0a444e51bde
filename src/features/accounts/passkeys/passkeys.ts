import { hash, type JsonWebKey, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { requestIdOf } from '../../../auth/request-id.ts'
import type { HttpRequest } from '../../../http/types.ts'
import type { Account } from '../../../metadata/account-facts.ts'
import { OciError } from '../../../oci/errors.ts'
import type { SignInParts } from '../parts.ts'
import { cookieName, readCookie, writeCookie } from '../sessions/cookies.ts'
import { expectSafe } from '../sessions/origin.ts'
import type { Session } from '../sessions/sessions.ts'
import { algorithms, readAssertion, readRegistration, Unsound } from './webauthn.ts'

/** How long a browser may take to answer. */
const patienceMs = 5 * 60_000
const maxPasskeys = 20
const cookie = 'holdfast-passkey'

const kinds = { passkey: 'passkey', challenge: 'passkey-challenge', used: 'passkey-used', counter: 'passkey-counter' }
/** The ids of a user's, which `passkey` knows by id alone. */
const ownKind = (name: string) => `passkeys-of-${name}`

interface Kept {
  account: string
  /** When the account was made: another one of the same name has none of its passkeys. */
  accountCreatedAt: number
  /** What its owner calls it. */
  label: string
  credential: string
  publicKey: JsonWebKey
  createdAt: number
}

/** What a browser gives for a sign-in: as `PublicKeyCredential.toJSON()` has it, each part in base64url. */
export interface Assertion {
  credential: string
  clientDataJSON: string
  authenticatorData: string
  signature: string
  userHandle?: string | undefined
}

export type Passkeys = ReturnType<typeof createPasskeys>

/**
 * Passkeys (Web Authentication): users sign in with a key that their device keeps, for this site alone. A challenge is good once, for a few
 * minutes and for the browser that was given it.
 */
export function createPasskeys({ facts, vault, audit, throttle, log, clock, baseOf }: SignInParts) {
  const now = () => clock.now().getTime()
  const soon = () => new Date(now() + patienceMs)
  const originOf = (message: IncomingMessage) => new URL(baseOf(message)).origin
  const handleOf = ({ name, createdAt }: Pick<Account, 'name' | 'createdAt'>) =>
    hash('sha256', JSON.stringify(['passkey', name, createdAt]), 'base64url')

  async function ownOf(account: Account): Promise<({ id: string } & Kept)[]> {
    const found: ({ id: string } & Kept)[] = []
    for (const { id } of await vault.list(ownKind(account.name))) {
      const entry = await vault.get(kinds.passkey, id)
      const kept = entry && (JSON.parse(entry.text) as Kept)
      if (kept?.accountCreatedAt === account.createdAt) found.push({ id, ...kept })
    }
    return found
  }

  /** Whose passkey this is, when it has signed the challenge. @throws Unsound */
  async function check(given: Assertion, challenge: string, message: IncomingMessage): Promise<string> {
    const id = idOf(given.credential)
    const entry = await vault.get(kinds.passkey, id)
    if (!entry) throw new Unsound('this passkey is not known')
    const kept = JSON.parse(entry.text) as Kept
    const account = await facts.find('account', { name: kept.account, kind: 'user' })
    if (account?.createdAt !== kept.accountCreatedAt || account.isDisabled) throw new Unsound('its account is gone')
    if (given.userHandle && given.userHandle !== handleOf(account)) throw new Unsound('it is of somebody else')
    const parts = {
      clientData: bytesOf(given.clientDataJSON),
      authData: bytesOf(given.authenticatorData),
      signature: bytesOf(given.signature),
    }
    const counter = readAssertion(parts, kept.publicKey, { challenge, origin: originOf(message) })
    if (!(await vault.add(kinds.used, idOf(challenge), { text: '', endsAt: new Date(now() + 2 * patienceMs) })))
      throw new Unsound('it was used before')
    await count(id, counter)
    return account.name
  }

  /** Where an authenticator counts, what is not more than before is a copy of its key (6.1.1). @throws Unsound */
  async function count(id: string, counter: number): Promise<void> {
    const before = Number((await vault.get(kinds.counter, id))?.text ?? 0)
    if (counter === 0 && before === 0) return
    if (counter <= before) throw new Unsound('somebody has a copy of it: remove it')
    await vault.delete(kinds.counter, id)
    await vault.add(kinds.counter, id, { text: String(counter), endsAt: undefined })
  }

  return {
    /** What a browser is asked for a new passkey; the challenge is for this session. @throws OciError DENIED */
    async beginRegistration(account: Account, session: Session, message: IncomingMessage) {
      expectSafe(message, baseOf)
      const challenge = randomBytes(32).toString('base64url')
      await vault.add(kinds.challenge, idOf(challenge), { text: session.id, endsAt: soon() })
      const { name } = account
      const own = await ownOf(account)
      return {
        challenge,
        rp: { id: new URL(originOf(message)).hostname, name: 'Holdfast' },
        user: { id: handleOf(account), name, displayName: name },
        pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
        timeout: patienceMs,
        excludeCredentials: own.map(({ credential }) => ({ type: 'public-key', id: credential })),
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        attestation: 'none',
      }
    },

    /** Keeps what the browser has made; gives its id. @throws Unsound */
    async register(
      account: Account,
      session: Session,
      given: { name: string; challenge: string; clientDataJSON: string; attestationObject: string },
      message: IncomingMessage,
    ) {
      const { challenge } = given
      const id = idOf(challenge)
      if ((await vault.get(kinds.challenge, id))?.text !== session.id)
        throw new Unsound('the challenge is not of this session')
      if (!(await vault.add(kinds.used, id, { text: '', endsAt: soon() })))
        throw new Unsound('the challenge was used before')
      await vault.delete(kinds.challenge, id)
      const [clientData, attestation] = [bytesOf(given.clientDataJSON), bytesOf(given.attestationObject)]
      const made = readRegistration(clientData, attestation, { challenge, origin: originOf(message) })
      if ((await ownOf(account)).length >= maxPasskeys) throw new Unsound(`${account.name} has ${maxPasskeys} passkeys`)
      const credential = made.id.toString('base64url')
      const key = idOf(credential)
      const { name, createdAt: accountCreatedAt } = account
      const kept: Kept = {
        account: name,
        accountCreatedAt,
        label: given.name,
        credential,
        publicKey: made.publicKey,
        createdAt: now(),
      }
      if (!(await vault.add(kinds.passkey, key, { text: JSON.stringify(kept), endsAt: undefined })))
        throw new Unsound('this passkey is known already')
      await vault.add(ownKind(name), key, { text: '', endsAt: undefined })
      if (made.counter > 0) await count(key, made.counter)
      const { address } = session.user
      audit.note({
        action: 'passkey.added',
        actor: name,
        address,
        target: `${name}/${key}`,
        detail: { name: given.name },
      })
      return { id: key, ...kept }
    },

    list: ownOf,

    /** False when the account has no such passkey. */
    async remove(account: Account, id: string, address: string): Promise<boolean> {
      const { name } = account
      if ((await vault.get(ownKind(name), id)) === undefined) return false
      for (const kind of [kinds.passkey, kinds.counter, ownKind(name)]) await vault.delete(kind, id)
      audit.note({ action: 'passkey.removed', actor: name, address, target: `${name}/${id}` })
      return true
    },

    /** What a browser is asked for a sign-in with any passkey of this site, and the cookie that binds the challenge to it. */
    beginSignIn(message: IncomingMessage) {
      const isSecure = expectSafe(message, baseOf)
      const own = randomBytes(32).toString('base64url')
      const rpId = new URL(originOf(message)).hostname
      const asked = {
        challenge: challengeOf(own),
        rpId,
        timeout: patienceMs,
        userVerification: 'required',
        allowCredentials: [],
      }
      return { asked, cookie: writeCookie(cookie, `${own}.${now()}`, isSecure, patienceMs / 1000) }
    },

    /** The name of who signs in. @throws OciError UNAUTHORIZED, TOOMANYREQUESTS */
    async signIn(
      given: Assertion,
      { message, headers, principal: { address } }: HttpRequest<unknown>,
    ): Promise<string> {
      const kept = readCookie(message.headers.cookie, cookieName(cookie, expectSafe(message, baseOf))) ?? ''
      const [, own, time] = /^([\w-]{43})\.(\d{1,15})$/.exec(kept) ?? []
      const isBegun = own !== undefined && now() <= Number(time) + patienceMs
      let [name, reason] = ['', 'this browser was not asked for it, or too long ago']
      const attempt = async () => {
        if (isBegun) name = await check(given, challengeOf(own), message)
        return isBegun
      }
      const isGood = await throttle.attempt(`passkey ${idOf(given.credential)}`, address, () =>
        attempt().catch((error: unknown) => {
          if (!(error instanceof Unsound)) throw error
          reason = error.message
          return false
        }),
      )
      if (isGood) return name
      const requestId = requestIdOf(headers)
      log.warn('login.failed', { address, reason, requestId })
      audit.note(
        { action: 'sign-in.failed', actor: '', address, target: 'passkey', detail: { reason, requestId } },
        `${address} ${reason}`,
      )
      throw new OciError('UNAUTHORIZED', { message: `this passkey is not good here: ${reason}` })
    },
  }
}

const idOf = (text: string) => hash('sha256', text, 'hex')
const challengeOf = (own: string) => hash('sha256', `passkey ${own}`, 'base64url')

/** @throws Unsound */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw new Unsound('it is not in base64url')
  return bytes
}
