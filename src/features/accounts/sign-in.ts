import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Basic, readBasic, readToken } from '../../auth/basic.ts'
import { noteRefused } from '../../auth/refused.ts'
import { requestIdOf } from '../../auth/request-id.ts'
import type { Authenticator, Principal } from '../../auth/types.ts'
import { createPasswords } from '../../identity/passwords.ts'
import { createRemembered } from '../../identity/remembered.ts'
import { hashSecret, isSecret } from '../../identity/secrets.ts'
import { OciError } from '../../oci/errors.ts'
import type { AccountFacts, TokenUse } from '../../metadata/account-facts.ts'
import type { Log } from '../../platform/log.ts'
import type { Counters } from '../../platform/counters.ts'
import { createThrottle } from '../throttle.ts'
import type { Audit } from './audit.ts'
import type { Directory } from './directory.ts'
import type { Ldap } from './ldap/index.ts'
import { ldapMark } from './start.ts'

/** Thrown through the throttle, which does not count it. */
const notThere = new Error('nobody has this name')

/** How often the last use of tokens is written. */
const flushMs = 60_000

interface Deps {
  directory: Directory
  facts: AccountFacts
  audit: Audit
  log: Log
  clock: { now(): Date }
  counters: Counters
  /** Whether another authenticator knows people whom the database does not. */
  hasOutside: boolean
  /** The LDAP server's users, where one is configured. */
  ldap: (() => Promise<Ldap>) | undefined
}

/** What is needed of a request. */
interface Coming {
  headers: IncomingHttpHeaders
  principal: { address: string }
}

export type SignIn = ReturnType<typeof createSignIn>

/** Users by their passwords, users and robots by their access tokens. */
export function createSignIn({ directory, facts, audit, log, clock, counters, hasOutside, ldap }: Deps) {
  const passwords = createPasswords()
  const remembered = createRemembered<true>(clock)
  const throttle = createThrottle(counters)
  const uses = new Map<string, TokenUse>()
  let timer: NodeJS.Timeout | undefined

  const authenticator: Authenticator = {
    async authenticate(headers, address) {
      const { authorization } = headers
      if (authorization === undefined) return undefined
      const looking = directory.look()
      if (looking) await looking // each wait costs a request that is asked nothing more
      const secret = readToken(authorization)
      // Who pasted a token wrong is told so, and it is tried as a password nowhere.
      if (secret?.startsWith('holdfast_')) return byToken(secret, address, headers)
      const basic = readBasic(authorization)
      return basic && byPassword(basic, address, headers)
    },

    async standing(principal) {
      if (principal.kind === 'anonymous') return undefined
      await directory.look()
      const account = await directory.account(principal.name)
      if (!account || account.isDisabled || account.kind !== principal.kind) return undefined
      if (principal.token === undefined) return hash('sha256', account.password, 'base64')
      return (await directory.restrictionOf(principal.token)) && `token ${principal.token}`
    },
  }

  async function byToken(secret: string, address: string, headers: IncomingHttpHeaders): Promise<Principal> {
    const token = isSecret(secret) ? await directory.tokenByHash(hashSecret(secret)) : undefined
    const account = token && (await directory.account(token.account))
    if (!account || account.kind === 'organization' || account.isDisabled || !directory.isValid(token)) {
      refuse(account?.name ?? '', address, token ? `token ${token.id}` : 'token', headers)
      throw new OciError('UNAUTHORIZED', { message: 'this access token is not, or no longer, valid: make a new one' })
    }
    noteUse(token.id, account.name, address)
    const until = token.expiresAt === 0 ? {} : { until: token.expiresAt }
    return { kind: account.kind, name: account.name, token: token.id, address, ...until }
  }

  async function byPassword(
    { name, password }: Basic,
    address: string,
    headers: IncomingHttpHeaders,
  ): Promise<Principal | undefined> {
    const account = await directory.account(name)
    if (ldap && (account?.password ?? ldapMark) === ldapMark && (account?.kind ?? 'user') === 'user')
      return byLdap({ name, password }, address, headers)
    if (!account && hasOutside) return undefined
    const hashed = account?.kind === 'user' && !account.isDisabled ? account.password : ''
    const isRight = await remembered.ask(`${name}:${password}`, hashed, async () => {
      const fits = await throttle.attempt(name, address, () => passwords.fits(password, hashed || undefined))
      if (fits) audit.note({ action: 'sign-in', actor: name, address, target: 'password' }, `${name} ${address}`)
      else refuse(name, address, 'password', headers)
      return fits || undefined
    })
    if (!isRight) throw new OciError('UNAUTHORIZED', { message: 'wrong user name or password' })
    return { kind: 'user', name, address }
  }

  /** Undefined where the directory does not know the name, and somebody else may. */
  async function byLdap(basic: Basic, address: string, headers: IncomingHttpHeaders): Promise<Principal | undefined> {
    const { name, password } = basic
    const isRight = await remembered
      .ask(`${name}:${password}`, ldapMark, async () => {
        const fits = await throttle.attempt(name, address, async () => {
          const answer = await (await ldap!()).signIn(basic, address)
          if (answer === undefined && hasOutside) throw notThere
          return answer ?? false
        })
        if (fits) audit.note({ action: 'sign-in', actor: name, address, target: 'ldap' }, `${name} ${address} ldap`)
        else refuse(name, address, 'ldap', headers)
        return fits || undefined
      })
      .catch((error: unknown) => {
        if (error === notThere) return notThere
        throw error
      })
    if (isRight === notThere) return undefined
    if (isRight !== true) throw new OciError('UNAUTHORIZED', { message: 'wrong user name or password' })
    return { kind: 'user', name, address }
  }

  function refuse(name: string, address: string, target: string, headers: IncomingHttpHeaders): void {
    const requestId = requestIdOf(headers)
    log.warn('login.failed', { user: name, address, requestId })
    const entry = { action: 'sign-in.failed', actor: name, address, target, detail: { requestId } }
    audit.note(entry, `${name} ${address} ${target}`)
  }

  function noteUse(id: string, name: string, from: string): void {
    if (!uses.has(id))
      audit.note({ action: 'sign-in', actor: name, address: from, target: `token ${id}` }, `${id} ${from}`)
    uses.set(id, { id, at: clock.now().getTime(), from })
    timer ??= setTimeout(() => void flush(), flushMs).unref()
  }

  async function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const all = [...uses.values()]
    uses.clear()
    if (all.length === 0) return
    await facts.useTokens(all).catch((error: unknown) => log.error('tokens.use-not-kept', { error: String(error) }))
  }

  /**
   * The name of who has this password: a user's own, no access token, which must not become all that the user may do.
   * @throws OciError UNAUTHORIZED, TOOMANYREQUESTS
   */
  async function inPerson({ name, password }: Basic, coming: Coming): Promise<string> {
    const { headers, principal } = coming
    const { address } = principal
    noteRefused(coming, { claimed: name }) // in case it is
    const wrong = new OciError('UNAUTHORIZED', { message: 'wrong user name or password' })
    if (name === '' || name.includes(':') || password.startsWith('holdfast_')) throw wrong
    await directory.look()
    const found = await byPassword({ name, password }, address, headers)
    if (found) return name
    await throttle.attempt(name, address, async () => false) // others may know the name, but it has no account
    throw wrong
  }

  return { authenticator, inPerson, passwords, throttle, flush }
}
