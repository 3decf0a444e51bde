import { randomUUID } from 'node:crypto'
import { createBearers, refusedToken } from '../../auth/bearers.ts'
import { isSignedBy, objectionTo, signJwt } from '../../auth/jwt.ts'
import type { Scope } from '../../auth/scopes.ts'
import type { Principal } from '../../auth/types.ts'
import type { TokensConfiguration } from '../../config/configuration.ts'
import type { createKeys } from '../../keyring/signing-keys.ts'

interface Deps {
  configuration: TokensConfiguration
  keys: ReturnType<typeof createKeys>
  clock: { now(): Date }
}

/** The tokens of minutes: JWTs as the distribution specification describes them, signed with ES256. */
export function createAccessTokens({ configuration: { issuer, service, services, lifeMs }, keys, clock }: Deps) {
  const now = () => clock.now().getTime()

  const read = createBearers({
    clock,
    isOurs: ({ claims }) => claims.iss === issuer,
    async verify(jwt) {
      const { kid } = jwt.header
      const key = typeof kid === 'string' ? await keys.find(kid) : undefined
      if (!key || !isSignedBy(jwt, key, ['ES256'])) throw refusedToken('its signature is not ours')
      const objection = objectionTo(jwt.claims, { issuer, audiences: [service], now: now() })
      if (objection) throw refusedToken(objection)
      return jwt.claims
    },
  })

  return {
    /** Whom a token of ours stands for and what it may do; undefined when it is another's. @throws OciError UNAUTHORIZED */
    read,

    /**
     * A token with these grants, for this registry or one of `services`; another name is taken for a proxy's of ours. For
     * others it brings the certificate by which they trust the key.
     */
    issue(principal: Principal, granted: Scope[], askedService: string | null): { token: string; seconds: number } {
      const other = services.find((name) => name === askedService)
      const key = keys.current()
      const [start, end] = [
        Math.floor(now() / 1000),
        Math.floor(Math.min(now() + lifeMs, principal.until ?? Infinity) / 1000),
      ]
      const { id: kid, certificate } = key
      const claims = {
        iss: issuer,
        aud: other ?? service,
        ...subjectOf(principal),
        iat: start,
        nbf: start,
        exp: end,
        jti: randomUUID(),
        access: granted.map(({ class: kind, ...grant }) => ({ ...grant, ...(kind !== undefined && { class: kind }) })),
      }
      const token = signJwt({ kid, ...(other !== undefined && { x5c: [certificate] }) }, claims, key.privateKey)
      return { token, seconds: end - start }
    },
  }
}

function subjectOf(principal: Principal): Record<string, string> {
  if (principal.kind === 'anonymous') return { sub: '' }
  const { name, kind, token } = principal
  return { sub: name, ...(kind === 'robot' && { kind }), ...(token !== undefined && { credential: token }) }
}
