import { hash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { requestIdOf } from '../../../auth/request-id.ts'
import type { OpenIdConfiguration } from '../../../config/configuration.ts'
import type { HttpRequest } from '../../../http/types.ts'
import { isAccountName } from '../../../identity/names.ts'
import { OciError } from '../../../oci/errors.ts'
import type { JsonObject } from '../../../oci/strict-json.ts'
import { createGetDocument } from '../../../platform/get-document.ts'
import { createFollowed } from '../followed.ts'
import type { SignInParts } from '../parts.ts'
import { cookieName, readCookie, writeCookie } from '../sessions/cookies.ts'
import { expectSafe, localPath } from '../sessions/origin.ts'
import { type Attempt, createProvider, Refused } from './provider.ts'

/** How long a sign-in may take at the provider. */
const patienceMs = 10 * 60_000
const cookie = 'holdfast-openid'
const usedKind = 'openid-used'

interface Deps extends SignInParts {
  configuration: OpenIdConfiguration
  /** Networks that are not public and may be asked. */
  allow: string[]
  /** Told after an account changed. */
  changed(): Promise<void>
}

export type OpenId = Awaited<ReturnType<typeof createOpenId>>

/**
 * Users of a provider of OpenID Connect. An account belongs to who the provider calls by one `sub`, whatever their names and
 * addresses become.
 * @throws Error naming the key whose file cannot be read
 */
export async function createOpenId(deps: Deps) {
  const { configuration, allow, facts, vault, audit, throttle, log, clock, baseOf, changed } = deps
  const { issuer, usernameClaim, groupsClaim, groups: mappings } = configuration
  const secret = await readSecret(configuration)
  const provider = createProvider({ configuration, secret, getDocument: createGetDocument(allow), clock, log })
  const accounts = createFollowed({ facts, mappings, by: 'openid', log, clock })

  /** What a browser's secret stands for: nobody finds the one by the other, so nothing need be kept here meanwhile. */
  function attemptOf(own: string, message: IncomingMessage): Attempt {
    const derive = (what: string) => hash('sha256', `${what} ${own}`, 'base64url')
    const redirectUri = `${baseOf(message)}/oidc/callback`
    return { state: derive('state'), nonce: derive('nonce'), verifier: derive('verifier'), redirectUri }
  }

  /** The account of who has signed in, made or brought up to date. @throws Refused */
  async function accountOf(claims: JsonObject & { sub: string }, address: string): Promise<string> {
    const mark = `openid:${hash('sha256', JSON.stringify([issuer, claims.sub]), 'base64url')}`
    const present = await facts.find('account', { kind: 'user', password: mark })
    const claimed = claims[usernameClaim]
    const name = present?.name ?? (typeof claimed === 'string' ? claimed.toLowerCase() : '')
    if (!isAccountName(name))
      throw new Refused(`${usernameClaim} is ${JSON.stringify(claimed)?.slice(0, 100)}, which is no name of an account`)
    const theirs = [claims[groupsClaim] ?? []].flat()
    const applying = mappings.filter(({ group }) => theirs.includes(group))
    const detail = { issuer, subject: claims.sub }
    if (!(await accounts.refresh(name, { mark, applying, detail }, address)))
      throw new Refused(`the account ${name} is disabled, or somebody else's`)
    await changed()
    return name
  }

  /** @throws Refused, OciError UNAVAILABLE */
  async function redeem({ query, principal: { address } }: HttpRequest<unknown>, attempt: Attempt): Promise<string> {
    const claims = await provider.redeem(query.get('code')!, attempt)
    const endsAt = new Date(clock.now().getTime() + 6 * patienceMs)
    if (!(await vault.add(usedKind, hash('sha256', attempt.state), { text: '', endsAt })))
      throw new Refused('this sign-in was used before')
    return accountOf(claims, address)
  }

  /** What the browser has of the sign-in that it began. @throws Refused */
  async function expectBegun({ query, message }: HttpRequest<unknown>) {
    const isSecure = expectSafe(message, baseOf)
    const kept = readCookie(message.headers.cookie, cookieName(cookie, isSecure)) ?? ''
    const [, own, time, path = ''] = /^([\w-]{43})\.(\d{1,15})\.([\w-]*)$/.exec(kept) ?? []
    if (own === undefined) throw new Refused('this browser has not begun to sign in, or too long ago')
    const attempt = attemptOf(own, message)
    for (const name of ['state', 'code', 'iss', 'error'])
      if (query.getAll(name).length > 1) throw new Refused(`${name} is there twice`)
    if (query.get('state') !== attempt.state) throw new Refused('the answer is to another sign-in')
    if (clock.now().getTime() > Number(time) + patienceMs) throw new Refused('this sign-in took too long')
    if (!(await provider.isOwn(query.get('iss')))) throw new Refused('the answer is of another provider')
    const error = query.get('error')
    if (error !== null) throw new Refused(`the provider says ${/^[\w.-]{1,50}$/.test(error) ? error : 'no'}`)
    if (!query.get('code')) throw new Refused('the answer has no code')
    return { attempt, returnTo: localPath(Buffer.from(path, 'base64url').toString()) }
  }

  return {
    /** Sends a browser to the provider, and back to a path here in the end. @throws OciError DENIED, UNAVAILABLE */
    async begin({ message }: HttpRequest<unknown>, returnTo: string): Promise<{ location: string; cookie: string }> {
      const isSecure = expectSafe(message, baseOf)
      const own = randomBytes(32).toString('base64url')
      const attempt = attemptOf(own, message)
      const location = await provider.authorizeUrl(attempt, hash('sha256', attempt.verifier, 'base64url'))
      const value = `${own}.${clock.now().getTime()}.${Buffer.from(returnTo).toString('base64url')}`
      return { location, cookie: writeCookie(cookie, value, isSecure, patienceMs / 1000) }
    },

    /** Who came back from the provider, and where they were going. @throws OciError DENIED, UNAVAILABLE, TOOMANYREQUESTS */
    async finish(request: HttpRequest<unknown>): Promise<{ name: string; returnTo: string }> {
      const { address } = request.principal
      let [name, refused] = ['', new Refused()]
      try {
        const { attempt, returnTo } = await expectBegun(request)
        const check = async () => {
          name = await redeem(request, attempt)
          return true
        }
        const isGood = await throttle.attempt(`openid ${attempt.state}`, address, () =>
          check().catch((error: unknown) => {
            if (!(error instanceof Refused)) throw error
            refused = error
            return false
          }),
        )
        if (!isGood) throw refused
        audit.note({ action: 'sign-in', actor: name, address, target: 'openid' }, `${name} ${address} openid`)
        return { name, returnTo }
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        const requestId = requestIdOf(request.headers)
        const reason = error.message.slice(0, 300)
        log.warn('login.failed', { issuer, address, reason, requestId })
        const entry = {
          action: 'sign-in.failed',
          actor: name,
          address,
          target: 'openid',
          detail: { reason, requestId },
        }
        audit.note(entry, `${address} openid ${reason}`)
        throw new OciError('DENIED', { message: `This sign-in is not good: ${reason}. Begin again.`, cause: error })
      }
    },

    /** Where a browser signs out of the provider as well; undefined where that cannot be. */
    logoutUrl: (message: IncomingMessage) => provider.logoutUrl(`${baseOf(message)}/sign-in`),
  }
}

async function readSecret({ clientSecret }: OpenIdConfiguration): Promise<string | undefined> {
  if (clientSecret === undefined) return undefined
  if ('text' in clientSecret) return clientSecret.text
  try {
    return (await readFile(clientSecret.file, 'utf8')).replace(/\r?\n$/, '')
  } catch (cause) {
    const reason = (cause as Error).message
    throw new Error(`holdfast.openid.clientsecretfile: cannot read ${clientSecret.file}: ${reason}`, { cause })
  }
}
