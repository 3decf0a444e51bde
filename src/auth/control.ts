import type { IncomingHttpHeaders } from 'node:http'
import { OciError } from '../oci/errors.ts'
import type { Access, Authenticator, Authorizer, Challenger, Grant, Principal, Verdict } from './types.ts'

export type AccessControl = ReturnType<typeof createAccessControl>

interface Deps {
  authenticators: Authenticator[]
  authorizer: Authorizer
  challenger: Challenger
}

/** Who calls, and may they: asked of every request before its handler. */
export function createAccessControl({ authenticators, authorizer, challenger }: Deps) {
  async function decide(principal: Principal, access: Access): Promise<Verdict> {
    if (!principal.granted) return authorizer.decide(principal, access)
    if (access.name === 'api') return 'allowed' // any token that is valid opens the API itself
    return principal.granted.some((grant) => covers(grant, access)) ? 'allowed' : 'denied'
  }

  return {
    /** Who sent these credentials; undefined where there are none. @throws OciError UNAUTHORIZED when they are wrong */
    async identify(headers: IncomingHttpHeaders, address: string): Promise<Principal | undefined> {
      for (const { authenticate } of authenticators) {
        const principal = await authenticate(headers, address)
        if (principal) return principal
      }
      return undefined
    },

    /** @throws OciError UNAUTHORIZED with a challenge, DENIED, or NAME_UNKNOWN of what the caller may not know about */
    async expect(principal: Principal, needed: Access[], headers: IncomingHttpHeaders): Promise<void> {
      for (const access of needed) {
        const verdict = await decide(principal, access)
        if (verdict === 'allowed') continue
        if (principal.granted || principal.kind === 'anonymous') throw unauthorized(principal, needed, headers)
        throw new OciError(verdict === 'hidden' && access.action === 'pull' ? 'NAME_UNKNOWN' : 'DENIED')
      }
    },

    async allows(principal: Principal, access: Access): Promise<boolean> {
      return (await decide(principal, access)) === 'allowed'
    },
  }

  function unauthorized({ granted }: Principal, needed: Access[], headers: IncomingHttpHeaders): OciError {
    const asked = needed.filter(({ name }) => name !== 'api')
    const detail = asked.map(({ type, name, action }) => ({ Type: type, Class: '', Name: name, Action: action }))
    const challenge = challenger.challenge(needed, headers, granted && 'insufficient_scope')
    return new OciError('UNAUTHORIZED', {
      detail: [asked.length > 0 ? detail : null],
      headers: { 'WWW-Authenticate': challenge },
    })
  }
}

/** Whether a token's grant is about this. */
function covers({ type, name, actions }: Grant, access: Access): boolean {
  if (type !== access.type || name !== access.name) return false
  return actions.includes(access.action) || actions.includes('*')
}
