import { OciError } from '../oci/errors.ts'
import type { JsonObject } from '../oci/strict-json.ts'
import { looksLikeJwt } from './basic.ts'
import { type Jwt, leeway, readJwt } from './jwt.ts'
import { parseGrants } from './scopes.ts'
import type { Principal } from './types.ts'

/** How many tokens are remembered that were found good. */
const maxRemembered = 10_000

interface Deps {
  clock: { now(): Date }
  /** Whether the tokens are of an issuer of others. */
  foreign?: true
  /** Whether this token is ours to judge. */
  isOurs(jwt: Jwt): boolean
  /** Gives the claims of a token that is good. @throws OciError UNAUTHORIZED */
  verify(jwt: Jwt): JsonObject | Promise<JsonObject>
}

/**
 * Reads tokens that say themselves what they are good for (the distribution specification's JWT). A token is verified once and
 * then remembered until it expires: found by its signature, which is the shortest that tells it from others, and compared as a
 * whole. (To hash it for each request would cost more than all else that is done for it.)
 */
export function createBearers({ clock, foreign, isOurs, verify }: Deps) {
  const now = () => clock.now().getTime()
  const remembered = new Map<string, { text: string; principal: Principal & { until: number } }>()

  /** Whom a token stands for, and what it grants; undefined when it is none of ours. @throws OciError UNAUTHORIZED */
  return function read(text: string, address: string): Principal | undefined | Promise<Principal | undefined> {
    const id = text.slice(text.lastIndexOf('.') + 1)
    const known = remembered.get(id)
    if (known?.text === text) {
      if (now() < known.principal.until + leeway * 1000) return withAddress(known.principal, address)
      remembered.delete(id)
    }
    return readAnew(text, id, address)
  }

  async function readAnew(text: string, id: string, address: string): Promise<Principal | undefined> {
    const jwt = looksLikeJwt(text) ? readJwt(text) : undefined
    if (!jwt || !isOurs(jwt)) return undefined
    const found = { ...principalOf(await verify(jwt)), ...(foreign && { foreign }) }
    if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value!)
    remembered.set(id, { text, principal: found })
    return withAddress(found, address)
  }
}

/** A copy for who sent this request. */
function withAddress(principal: Principal, address: string): Principal {
  const { kind, granted, until, foreign } = principal
  const more = { address, granted: granted!, until: until!, ...(foreign && { foreign }) }
  if (kind === 'anonymous') return { kind, ...more }
  const { name, token } = principal
  return token === undefined ? { kind, name, ...more } : { kind, name, token, ...more }
}

function principalOf({ sub, kind, credential, access, exp }: JsonObject): Principal & { until: number } {
  const more = { address: '', granted: parseGrants(access), until: Number(exp) * 1000 }
  if (typeof sub !== 'string' || sub === '') return { kind: 'anonymous', ...more }
  const token = typeof credential === 'string' ? { token: credential } : {}
  return { kind: kind === 'robot' ? kind : 'user', name: sub, ...token, ...more }
}

/** What is said of a token that is not good. */
export function refusedToken(problem: string): OciError {
  return new OciError('UNAUTHORIZED', { message: `this token is not good here: ${problem}` })
}
