import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { readBearer } from '../../../auth/basic.ts'
import type { Authenticator, Principal } from '../../../auth/types.ts'
import { dropSession, sessionKind, sessionsOf, type Vault } from '../../../auth/vault.ts'
import { OciError } from '../../../oci/errors.ts'
import type { Audit } from '../audit.ts'
import { cookieName, readCookie, writeCookie } from './cookies.ts'
import { expectOwnPage, expectSafe } from './origin.ts'

const [minute, hour] = [60_000, 3_600_000]
/** A session ends so long after its last use, and so long after the sign-in however it is used. */
const [idleMs, lifeMs] = [12 * hour, 7 * 24 * hour]
/** Its use is written so often at most. */
const renewMs = 5 * minute
const [maxSessions, maxAgent] = [100, 200]
const cookie = 'holdfast'

type User = Principal & { kind: 'user'; name: string }

/** How somebody signed in. */
export type SignedInBy = 'password' | 'openid' | 'passkey'

interface Kept {
  name: string
  by: SignedInBy
  createdAt: number
  /** What the account's credentials looked like. */
  standing: string
}

/** What is told of a session to whom it is of. */
interface Told {
  by: SignedInBy
  createdAt: number
  /** From where it began, and what the browser called itself. */
  address: string
  agent: string
  /** As in `Kept`. */
  standing: string
}

export interface ListedSession extends Told {
  id: string
  endsAt: number
}

export interface Session {
  id: string
  user: User
  by: SignedInBy
  createdAt: number
  /** When it ends if nobody uses it. */
  endsAt: number
  /** What a page of ours sends with a change, and no page of others knows. */
  csrfToken: string
}

interface Deps {
  vault: Vault
  clock: { now(): Date }
  audit: Audit
  baseOf(message: IncomingMessage): string
  standing: NonNullable<Authenticator['standing']>
}

/** What is asked of a request. */
export interface Browser {
  message: IncomingMessage
  principal: { address: string }
}

export type Sessions = ReturnType<typeof createSessions>

/**
 * Browsers that have signed in. A session is a random secret in a cookie, of which only the hash is kept, where all nodes find it.
 * It ends by itself, by a sign-out, and when the account gets another password or is disabled.
 */
export function createSessions({ vault, clock, audit, baseOf, standing }: Deps) {
  const now = () => clock.now().getTime()

  async function standingOf(name: string): Promise<string | undefined> {
    const text = await standing({ kind: 'user', name, address: '' })
    return text === undefined ? undefined : hash('sha256', text, 'base64')
  }

  /** The session of a request's cookie; undefined where there is none that is good. */
  async function find({ message, principal: { address } }: Browser): Promise<Session | undefined> {
    const secret = secretOf(message)
    const id = secret === undefined ? '' : idOf(secret)
    const entry = secret === undefined ? undefined : await vault.get(sessionKind, id)
    if (secret === undefined || !entry) return undefined
    const { name, by, createdAt, standing: before } = JSON.parse(entry.text) as Kept
    if (now() >= createdAt + lifeMs || (await standingOf(name)) !== before) {
      await dropSession(vault, name, id)
      audit.note({ action: 'session.ended', actor: name, address, target: by, detail: { by: 'account' } })
      return undefined
    }
    let endsAt = entry.endsAt?.getTime() ?? 0
    if (endsAt < Math.min(now() + idleMs - renewMs, createdAt + lifeMs)) {
      endsAt = Math.min(now() + idleMs, createdAt + lifeMs)
      await vault.extend(sessionKind, id, new Date(endsAt))
      await vault.extend(sessionsOf(name), id, new Date(endsAt))
    }
    const csrfToken = hash('sha256', `csrf ${secret}`, 'base64url')
    return { id, user: { kind: 'user', name, address }, by, createdAt, endsAt, csrfToken }
  }

  /** What there is of a user's sessions, the newest first; also those that are good no more. */
  async function kept(name: string): Promise<ListedSession[]> {
    const all = await vault.list(sessionsOf(name))
    return all
      .map(({ id, text, endsAt }) => ({ id, ...(JSON.parse(text) as Told), endsAt: endsAt?.getTime() ?? 0 }))
      .toSorted((a, b) => b.createdAt - a.createdAt)
  }

  function secretOf(message: IncomingMessage): string | undefined {
    const isSecure = baseOf(message).startsWith('https:')
    const secret = readCookie(message.headers.cookie, cookieName(cookie, isSecure))
    return secret !== undefined && /^[\w-]{43}$/.test(secret) ? secret : undefined
  }

  return {
    find,

    /** The sessions of a user, the newest first. */
    async list(name: string): Promise<ListedSession[]> {
      const standing = await standingOf(name)
      return (await kept(name)).filter((session) => session.standing === standing)
    },

    /** The session by which a request comes; undefined also where it brings credentials, which come first. */
    current: async (browser: Browser) =>
      browser.message.headers.authorization === undefined ? find(browser) : undefined,

    /**
     * Begins a session of who has just signed in, always a new one: what the browser brought before ends.
     * Gives its `Set-Cookie`. @throws OciError DENIED without TLS
     */
    async begin(name: string, by: SignedInBy, browser: Browser): Promise<string> {
      const { message, principal } = browser
      const isSecure = expectSafe(message, baseOf)
      const before = await standingOf(name)
      if (before === undefined) throw new OciError('UNAUTHORIZED', { message: 'this account cannot sign in' })
      const old = await find(browser)
      if (old) await dropSession(vault, old.user.name, old.id)
      for (const { id } of (await kept(name)).slice(maxSessions - 1)) await dropSession(vault, name, id)
      const secret = randomBytes(32).toString('base64url')
      const own: Kept = { name, by, createdAt: now(), standing: before }
      const endsAt = new Date(now() + idleMs)
      const { address } = principal
      const agent = (message.headers['user-agent'] ?? '').slice(0, maxAgent)
      const told: Told = { by, createdAt: now(), address, agent, standing: before }
      await vault.add(sessionsOf(name), idOf(secret), { text: JSON.stringify(told), endsAt })
      await vault.add(sessionKind, idOf(secret), { text: JSON.stringify(own), endsAt })
      audit.note({ action: 'session.began', actor: name, address, target: by })
      return writeCookie(cookie, secret, isSecure, lifeMs / 1000)
    },

    /** Ends a session; gives the `Set-Cookie` that removes it. */
    async end({ id, user, by }: Session, message: IncomingMessage): Promise<string> {
      await dropSession(vault, user.name, id)
      audit.note({ action: 'session.ended', actor: user.name, address: user.address, target: by })
      return writeCookie(cookie, '', baseOf(message).startsWith('https:'), 0)
    },

    /** Ends those of a user's that fit; gives how many there were. */
    async endSome(name: string, fits: (session: ListedSession) => boolean, doer: Principal): Promise<number> {
      const ending = (await kept(name)).filter(fits)
      const actor = doer.kind === 'anonymous' ? '' : doer.name
      for (const { id, by } of ending) {
        await dropSession(vault, name, id)
        audit.note({ action: 'session.ended', actor, address: doer.address, target: by, detail: { of: name } })
      }
      return ending.length
    },

    /**
     * Whose session a request to the management API is of. A change needs the session's token beside the cookie, and must not come
     * from a page of another site, whatever credentials the browser sends with it.
     * @throws OciError DENIED
     */
    async identify(browser: Browser): Promise<User | undefined> {
      const { message } = browser
      const { method, headers } = message
      // No page of another site can make a browser send a bearer token.
      if (readBearer(headers.authorization) === undefined) expectOwnPage(message, baseOf)
      if (headers.authorization !== undefined) return undefined
      const session = await find(browser)
      if (session && method !== 'GET' && method !== 'HEAD') expectToken(session, headers['x-csrf-token'])
      return session?.user
    },

    /** @throws OciError DENIED for a form that is not one of ours to this session */
    expectForm(session: Session, message: IncomingMessage, token: string | null): void {
      expectOwnPage(message, baseOf)
      expectToken(session, token ?? undefined)
    },
  }
}

const idOf = (secret: string) => hash('sha256', secret, 'hex')

function expectToken({ csrfToken }: Session, given: string | string[] | undefined): void {
  const [wanted, sent] = [Buffer.from(csrfToken), Buffer.from(typeof given === 'string' ? given : '')]
  if (wanted.length === sent.length && timingSafeEqual(wanted, sent)) return
  throw new OciError('DENIED', {
    message: 'a change by a session needs its token: send X-CSRF-Token with the csrfToken of GET /api/v1/session',
  })
}
