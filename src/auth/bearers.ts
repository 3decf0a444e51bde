import { hash } from 'node:crypto'
import { OciError } from '../oci/errors.ts'
import type { JsonObject } from '../oci/strict-json.ts'
import { type Jwt, leeway, looksLikeJwt, readJwt } from './jwt.ts'
import { parseGrants } from './scopes.ts'
import type { Principal } from './types.ts'

/** How many tokens are remembered that were found good. */
const maxRemembered = 10_000

interface Deps {
  clock: { now(): Date }
  /** Whether this token is ours to judge. */
  isOurs(jwt: Jwt): boolean
  /** Gives the claims of a token that is good. @throws OciError UNAUTHORIZED */
  verify(jwt: Jwt): JsonObject | Promise<JsonObject>
}

/**
 * Reads tokens that say themselves what they are good for (the distribution specification's JWT). A token is verified once and
 * then remembered by its hash until it expires.
 */
export function createBearers({ clock, isOurs, verify }: Deps) {
  const now = () => clock.now().getTime()
  const remembered = new Map<string, Principal & { until: number }>()

  /** Whom a token stands for, and what it grants; undefined when it is none of ours. @throws OciError UNAUTHORIZED */
  return async function read(text: string, address: string): Promise<Principal | undefined> {
    if (!looksLikeJwt(text)) return undefined
    const id = hash('sha256', text, 'base64')
    const known = remembered.get(id)
    if (known && now() < known.until + leeway * 1000) return { ...known, address }
    remembered.delete(id)
    const jwt = readJwt(text)
    if (!jwt || !isOurs(jwt)) return undefined
    const found = principalOf(await verify(jwt))
    if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value!)
    remembered.set(id, found)
    return { ...found, address }
  }
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
