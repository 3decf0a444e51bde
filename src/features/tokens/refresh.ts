import { hash, randomBytes } from 'node:crypto'
import type { AccessControl } from '../../auth/control.ts'
import type { Grant, Principal } from '../../auth/types.ts'
import type { Vault } from '../../auth/vault.ts'
import { OciError } from '../../oci/errors.ts'

/** How refresh tokens begin, for those who look for secrets where none should be. */
export const refreshPrefix = 'holdfast_ref_'

const kind = 'refresh-token'
const day = 86_400_000
/** How long one lasts that nobody uses, and from when on its use makes it last longer: not a write for each use. */
const lastsFor = 90 * day
const renewedBelow = 89 * day

type Known = Exclude<Principal, { kind: 'anonymous' }>

/** What is kept of one, by its hash. */
interface Kept {
  kind: Known['kind']
  name: string
  token?: string
  granted?: readonly Grant[]
  /** What the credentials looked like when it was issued; absent: it ends by itself, soon. */
  standing?: string
}

interface Deps {
  vault: Vault
  clock: { now(): Date }
  access(): AccessControl
}

/**
 * Refresh tokens: they stand for a principal without its password, as long as that stays what it was. They are random, known
 * here by their hash, and stay the same when they are used, for clients keep the first one.
 */
export function createRefreshTokens({ vault, clock, access }: Deps) {
  const now = () => clock.now().getTime()

  async function put(kept: Kept, endsAt: Date): Promise<string> {
    const token = refreshPrefix + randomBytes(32).toString('base64url')
    await vault.add(kind, idOf(token), { text: JSON.stringify(kept), endsAt })
    return token
  }

  return {
    /** A token for who signed in with credentials of its own; undefined for others, who would make one of minutes last for months. */
    async issue(principal: Principal): Promise<string | undefined> {
      if (principal.kind === 'anonymous' || principal.granted || principal.until !== undefined) return undefined
      const standing = await access().standing(principal)
      if (standing === undefined) return undefined
      return put({ ...nameOf(principal), standing: hashOf(standing) }, new Date(now() + lastsFor))
    },

    /** A token that stands for the principal for so long, whatever becomes of its credentials. */
    async lend(principal: Known, lifeMs: number): Promise<{ token: string; seconds: number }> {
      const until = Math.min(now() + lifeMs, principal.until ?? Infinity)
      const { granted } = principal
      const token = await put({ ...nameOf(principal), ...(granted && { granted }) }, new Date(until))
      return { token, seconds: Math.floor((until - now()) / 1000) }
    },

    /** Whom a token stands for. @throws OciError UNAUTHORIZED */
    async read(token: string, address: string): Promise<Principal> {
      const id = idOf(token)
      const entry = await vault.get(kind, id)
      if (!entry) throw refused()
      const { standing, ...kept } = JSON.parse(entry.text) as Kept
      const endsAt = entry.endsAt?.getTime() ?? 0
      if (standing === undefined) return { ...kept, address, until: endsAt }
      const principal: Principal = { ...kept, address }
      const present = await access().standing(principal)
      if (present === undefined || hashOf(present) !== standing) {
        await vault.delete(kind, id)
        throw refused()
      }
      if (endsAt - now() < renewedBelow) await vault.extend(kind, id, new Date(now() + lastsFor))
      return principal
    },
  }
}

const refused = () => new OciError('UNAUTHORIZED', { message: 'this token has ended: sign in again' })
const hashOf = (text: string) => hash('sha256', text, 'base64')
const idOf = (token: string) => hash('sha256', token, 'hex')

function nameOf({ kind: what, name, token }: Known): Kept {
  return { kind: what, name, ...(token !== undefined && { token }) }
}
