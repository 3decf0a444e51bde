import { basicOf, readBasic } from '../../auth/basic.ts'
import type { AccessControl } from '../../auth/control.ts'
import { noteRefused } from '../../auth/refused.ts'
import { accessesOf, formatScope, parseScopes, type Scope } from '../../auth/scopes.ts'
import type { Principal } from '../../auth/types.ts'
import { readBody } from '../../http/body.ts'
import { type HttpReply, type HttpRequest, reply } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { createAccessTokens } from './access-tokens.ts'
import type { createRefreshTokens } from './refresh.ts'

const maxForm = 64 << 10
const tokenType = 'urn:ietf:params:oauth:token-type:'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const maxLifeMs = 3_600_000

interface Deps {
  accessTokens: ReturnType<typeof createAccessTokens>
  refreshTokens: ReturnType<typeof createRefreshTokens>
  access(): AccessControl
  /** Whether a GET may ask for a refresh token. */
  offline: boolean
  log: Log
}

/** The token endpoint of the distribution specification: GET with Basic credentials, POST as OAuth 2 has it. */
export function createEndpoint({ accessTokens, refreshTokens, access, offline, log }: Deps) {
  /** Of what is asked for, what the principal may do. */
  async function grant(principal: Principal, scopes: Scope[]): Promise<Scope[]> {
    const granted: Scope[] = []
    for (const scope of scopes) {
      const allowed: string[] = []
      const wanted = accessesOf(scope)
      for (const one of wanted) if (await access().allows(principal, one)) allowed.push(one.action)
      const all = scope.actions.includes('*') && wanted.length > 0 && allowed.length === wanted.length
      const actions = all ? ['*'] : [...scope.actions.filter((action) => allowed.includes(action))]
      for (const action of allowed)
        if (scope.actions.includes('*') && !all && !actions.includes(action)) actions.push(action)
      if (actions.length > 0) granted.push({ ...scope, actions })
    }
    return granted
  }

  async function issue(principal: Principal, parameters: URLSearchParams) {
    const granted = await grant(principal, parseScopes(parameters.getAll('scope')))
    const { token, seconds } = accessTokens.issue(principal, granted, parameters.get('service'))
    const scope = granted.map(formatScope).join(' ')
    const user = principal.kind === 'anonymous' ? '' : principal.name
    log.debug('token.issued', {
      user,
      scope,
      client: parameters.get('client_id')?.slice(0, 100),
      address: principal.address,
    })
    // Without `issued_at`: by a clock that differs from ours a client would take it for expired.
    return { answer: { token, access_token: token, expires_in: seconds }, scope }
  }

  async function get({ query, principal, headers }: HttpRequest<unknown>): Promise<HttpReply> {
    const basic = readBasic(headers.authorization)
    const account = query.get('account')
    if (basic && account !== null && account !== basic.name)
      throw new OciError('UNAUTHORIZED', {
        message: 'account is not the user of the credentials',
        headers: { 'WWW-Authenticate': tokenChallenge },
      })
    const { answer } = await issue(principal, query)
    const refresh = offline && query.get('offline_token') === 'true' ? await refreshTokens.issue(principal) : undefined
    return json(200, { ...answer, ...(refresh !== undefined && { refresh_token: refresh }) })
  }

  async function post(request: HttpRequest<unknown>): Promise<HttpReply> {
    const type = request.headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase()
    if (type !== 'application/x-www-form-urlencoded')
      return problem(400, 'invalid_request', 'expected a form: Content-Type: application/x-www-form-urlencoded')
    const form = new URLSearchParams((await readBody(request, maxForm)).toString())
    try {
      switch (form.get('grant_type')) {
        case 'password':
          return await byPassword(request, form)
        case 'refresh_token':
          return await byRefreshToken(request, form)
        case exchangeGrant:
          return await byExchange(request, form)
        case deviceGrant:
          return await byDevice(form)
        default:
          return problem(
            400,
            'unsupported_grant_type',
            `expected grant_type password, refresh_token, ${exchangeGrant} or ${deviceGrant}`,
          )
      }
    } catch (error) {
      if (!(error instanceof OciError) || error.code !== 'UNAUTHORIZED') throw error
      return problem(401, 'invalid_grant', error.message)
    }
  }

  async function byPassword(request: HttpRequest<unknown>, form: URLSearchParams): Promise<HttpReply> {
    const { address } = request.principal
    const [name, password] = [form.get('username') ?? '', form.get('password') ?? '']
    noteRefused(request, { claimed: name }) // in case it is
    let principal: Principal = { kind: 'anonymous', address }
    if (name !== '' || password !== '') {
      if (name === '' || name.includes(':'))
        throw new OciError('UNAUTHORIZED', { message: 'wrong user name or password' })
      principal = (await access().identify({ authorization: basicOf({ name, password }) }, address)) ?? principal
    }
    const { answer, scope } = await issue(principal, form)
    const refresh = form.get('access_type') === 'offline' ? await refreshTokens.issue(principal) : undefined
    return json(200, { ...answer, scope, ...(refresh !== undefined && { refresh_token: refresh }) })
  }

  async function byRefreshToken(
    { principal: { address } }: HttpRequest<unknown>,
    form: URLSearchParams,
  ): Promise<HttpReply> {
    const token = form.get('refresh_token') ?? ''
    // Whatever stands for somebody without a name counts: the token of an access token's owner as well.
    const found = /^\S+$/.test(token)
      ? await access().identify({ authorization: `Bearer ${token}` }, address)
      : undefined
    if (!found) throw new OciError('UNAUTHORIZED', { message: 'refresh_token is missing' })
    const { answer, scope } = await issue(found, form)
    return json(200, { ...answer, scope, refresh_token: token })
  }

  /** RFC 8693: another issuer's token for one of ours, which works as bearer and as password. */
  async function byExchange(
    { principal: { address } }: HttpRequest<unknown>,
    form: URLSearchParams,
  ): Promise<HttpReply> {
    const subject = form.get('subject_token') ?? ''
    const type = form.get('subject_token_type') ?? ''
    if (subject === '' || ![`${tokenType}jwt`, `${tokenType}id_token`].includes(type))
      return problem(
        400,
        'invalid_request',
        `expected subject_token, and subject_token_type ${tokenType}jwt or …id_token`,
      )
    const { token, seconds } = await lend(subject, address)
    const answer = { issued_token_type: `${tokenType}access_token`, token_type: 'Bearer', expires_in: seconds }
    return json(200, { access_token: token, token, ...answer })
  }

  /** RFC 8628: an access token for a device that somebody let in. */
  async function byDevice(form: URLSearchParams): Promise<HttpReply> {
    const found = await access().redeem(form.get('device_code') ?? '')
    if ('error' in found) return problem(400, found.error, waiting[found.error])
    return json(200, { access_token: found.token, token_type: 'Bearer' })
  }

  async function lend(subject: string, address: string) {
    const principal = await access().exchange(subject, address)
    if (principal.kind === 'anonymous') throw new OciError('UNAUTHORIZED')
    return refreshTokens.lend(principal, maxLifeMs)
  }

  return {
    get,
    post,
    /** Quay's form of the exchange: a robot's name and the token as Basic credentials. */
    async federation({ headers, principal }: HttpRequest<unknown>): Promise<HttpReply> {
      const subject = readBasic(headers.authorization)?.password
      if (subject === undefined) throw new OciError('UNAUTHORIZED', { headers: { 'WWW-Authenticate': tokenChallenge } })
      const { token } = await lend(subject, principal.address)
      return json(200, { token })
    },
  }
}

/** What a device is told (RFC 8628 3.5). */
const waiting = {
  authorization_pending: 'nobody has let this device in yet',
  slow_down: 'ask less often',
  access_denied: 'this device was refused',
  invalid_grant: 'there is no such device code, or it has ended or was used',
}

/** What is asked for at the token endpoint itself. */
export const tokenChallenge = 'Basic realm="holdfast"'

function json(status: number, body: Record<string, unknown>): HttpReply {
  return reply(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }, JSON.stringify(body))
}

/** RFC 6749 5.2, and the registry's own form beside it for clients that look for that. */
function problem(status: 400 | 401, error: string, message: string): HttpReply {
  const code = status === 401 ? 'UNAUTHORIZED' : 'REQUEST_INVALID'
  return json(status, { error, error_description: message, errors: [{ code, message, detail: null }] })
}
