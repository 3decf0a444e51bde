import { createIssuer, type Discovered, endpointOf } from '../../../auth/issuer.ts'
import { looksLikeJwt } from '../../../auth/basic.ts'
import { isSignedBy, leeway, objectionTo, readJwt } from '../../../auth/jwt.ts'
import type { OpenIdConfiguration } from '../../../config/configuration.ts'
import { OciError } from '../../../oci/errors.ts'
import { type JsonObject, parseStrictJson } from '../../../oci/strict-json.ts'
import type { createGetDocument } from '../../../platform/get-document.ts'
import type { Log } from '../../../platform/log.ts'

interface Deps {
  configuration: OpenIdConfiguration
  secret: string | undefined
  getDocument: ReturnType<typeof createGetDocument>
  clock: { now(): Date }
  log: Log
}

/** What a sign-in sends and must get back. */
export interface Attempt {
  state: string
  nonce: string
  verifier: string
  redirectUri: string
}

/** What a provider says that is not good: for the log, and for whom it happened to. */
export class Refused extends Error {}

/** A provider of OpenID Connect, asked by the authorization code flow with PKCE (OpenID Connect Core 1.0, 3.1; RFC 9700). */
export function createProvider({ configuration, secret, getDocument, clock, log }: Deps) {
  const { issuer, clientId, scopes, usernameClaim, groupsClaim } = configuration
  const onFailure = (error: unknown) => log.warn('openid.failed', { issuer, error: String(error) })
  const keys = createIssuer({ issuer, file: undefined, getDocument, clock, onFailure })

  /** @throws OciError UNAVAILABLE */
  async function discover(): Promise<Discovered> {
    const found = await keys.discover()
    if (found) return found
    throw unavailable()
  }

  /** Asks the provider itself. @throws Refused where it says no, OciError UNAVAILABLE where it does not answer */
  async function ask(address: string, asked: Parameters<typeof getDocument>[1]): Promise<JsonObject> {
    let text: string
    try {
      text = await getDocument(address, asked)
    } catch (error) {
      const status = (error as { status?: number }).status ?? 0
      if (status >= 400 && status < 500) throw new Refused(`the provider refused: ${(error as Error).message}`)
      onFailure(error)
      throw unavailable()
    }
    try {
      const value = parseStrictJson(Buffer.from(text))
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
    } catch {} // the same as what is no object
    throw new Refused(`${address} answered with no JSON object`)
  }

  /** How this client proves who it is (RFC 6749 2.3.1). */
  function clientAuthentication(discovered: Discovered): {
    form: Record<string, string>
    headers: Record<string, string>
  } {
    if (secret === undefined) return { form: { client_id: clientId }, headers: {} }
    const methods = discovered.token_endpoint_auth_methods_supported
    if (Array.isArray(methods) && !methods.includes('client_secret_basic') && methods.includes('client_secret_post'))
      return { form: { client_id: clientId, client_secret: secret }, headers: {} }
    const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
    const pair = Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')
    return { form: {}, headers: { Authorization: `Basic ${pair}` } }
  }

  /** The claims of an ID token that is good for this sign-in (OpenID Connect Core 3.1.3.7). @throws Refused */
  async function verify(text: unknown, nonce: string): Promise<JsonObject & { sub: string }> {
    const jwt = typeof text === 'string' && looksLikeJwt(text) ? readJwt(text) : undefined
    if (!jwt) throw new Refused('there is no ID token')
    const key = await keys.find(jwt.header.kid)
    if (!key || !isSignedBy(jwt, key)) throw new Refused('the ID token is not signed by its issuer')
    const { claims } = jwt
    const now = clock.now().getTime()
    const objection = objectionTo(claims, { issuer, audiences: [clientId], now })
    if (objection !== undefined) throw new Refused(`the ID token: ${objection}`)
    const { aud, azp, iat, sub } = claims
    if (azp === undefined ? Array.isArray(aud) && aud.length > 1 : azp !== clientId)
      throw new Refused('the ID token is for another client')
    if (claims.nonce !== nonce) throw new Refused('the ID token is of another sign-in')
    if (typeof iat !== 'number' || iat - leeway > now / 1000) throw new Refused('the ID token is of another time')
    if (typeof sub !== 'string' || sub === '' || sub.length > 255) throw new Refused('the ID token names nobody')
    return { ...claims, sub }
  }

  return {
    issuer,

    /** Where a browser goes to sign in. @throws OciError UNAVAILABLE */
    async authorizeUrl({ state, nonce, redirectUri }: Attempt, challenge: string): Promise<string> {
      const url = new URL(endpointOf(await discover(), 'authorization_endpoint'))
      const client = { response_type: 'code', client_id: clientId, redirect_uri: redirectUri, scope: scopes.join(' ') }
      const proof = { state, nonce, code_challenge: challenge, code_challenge_method: 'S256' }
      for (const [name, value] of Object.entries({ ...client, ...proof })) url.searchParams.set(name, value)
      return url.href
    },

    /** Whether an answer's `iss` is of this provider (RFC 9207): one that says it sends it must. @throws OciError UNAVAILABLE */
    async isOwn(iss: string | null): Promise<boolean> {
      if (iss !== null) return iss === issuer
      return (await discover()).authorization_response_iss_parameter_supported !== true
    },

    /** Who signed in, for the code that the provider gave. @throws Refused, OciError UNAVAILABLE */
    async redeem(code: string, { nonce, verifier, redirectUri }: Attempt): Promise<JsonObject & { sub: string }> {
      const discovered = await discover()
      const { form, headers } = clientAuthentication(discovered)
      const sent = {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
        ...form,
      }
      const answer = await ask(endpointOf(discovered, 'token_endpoint'), { form: new URLSearchParams(sent), headers })
      const claims = await verify(answer.id_token, nonce)
      const isWhole = claims[usernameClaim] !== undefined && claims[groupsClaim] !== undefined
      if (isWhole || discovered.userinfo_endpoint === undefined || typeof answer.access_token !== 'string')
        return claims
      const bearer = { Authorization: `Bearer ${answer.access_token}` }
      if (!/^[\w.~+/=-]+$/.test(answer.access_token)) return claims
      const more = await ask(endpointOf(discovered, 'userinfo_endpoint'), { headers: bearer })
      if (more.sub !== claims.sub) throw new Refused('the provider tells of somebody else') // 5.3.2
      return { ...more, ...claims }
    },

    /** Where a browser ends its session at the provider (RP-Initiated Logout 1.0); undefined where that cannot be. */
    async logoutUrl(returnTo: string): Promise<string | undefined> {
      const discovered = await keys.discover()
      if (discovered?.end_session_endpoint === undefined) return undefined
      const url = new URL(endpointOf(discovered, 'end_session_endpoint'))
      url.searchParams.set('client_id', clientId)
      url.searchParams.set('post_logout_redirect_uri', returnTo)
      return url.href
    },
  }
}

function unavailable(): OciError {
  const message = 'the provider of sign-in cannot be asked: try again in a moment'
  return new OciError('UNAVAILABLE', { message, headers: { 'Retry-After': '5' } })
}
