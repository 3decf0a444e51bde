import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { OciError } from '../oci/errors.ts'
import { isEmptyBasic, readBearer } from './basic.ts'
import { covers } from './grants.ts'
import type {
  Access,
  Authenticator,
  Authorizer,
  Challenger,
  Principal,
  Redeemed,
  TokenProblem,
  Verdict,
} from './types.ts'

export type AccessControl = ReturnType<typeof createAccessControl>

/** What was asked for, in the words of registry:2. */
function detailOf(needed: Access[]) {
  const asked = needed.filter(({ name }) => name !== 'api')
  return asked.map(({ type, name, action }) => ({ Type: type, Class: '', Name: name, Action: action }))
}

/** How many repositories a list looks at, at a time and in all. */
const [lookedAtOnce, maxLooked] = [1000, 20_000]

interface Page {
  limit: number
  last?: string | undefined
}

interface Deps {
  authenticators: Authenticator[]
  authorizer: Authorizer
  challenger: Challenger
}

/** Who calls, and may they: asked of every request before its handler. */
export function createAccessControl({ authenticators, authorizer, challenger }: Deps) {
  /** Who sent these credentials; undefined where there are none. @throws OciError UNAUTHORIZED when nobody takes them */
  async function identify(
    headers: IncomingHttpHeaders,
    address: string,
    message?: IncomingMessage,
  ): Promise<Principal | undefined> {
    for (const { authenticate } of authenticators) {
      const found = authenticate(headers, address, message)
      const principal = found instanceof Promise ? await found : found
      if (principal) return principal
    }
    const { authorization } = headers
    if (authorization === undefined || isEmptyBasic(authorization)) return undefined
    throw new OciError('UNAUTHORIZED')
  }

  /** At once for who has a token, which is asked of every request of theirs. */
  function decide(principal: Principal, access: Access): Verdict | Promise<Verdict> {
    if (!principal.granted) return authorizer.decide(principal, access)
    if (access.name === 'api') return 'allowed' // any token that is valid opens the API itself
    return principal.granted.some((grant) => covers(grant, access)) ? 'allowed' : 'denied'
  }

  /** Whether nobody need be asked at all: everyone may do everything. */
  const isOpen = (): boolean | Promise<boolean> => authorizer.isOpen?.() ?? false

  /** Finds out who sent the request; nothing to wait for where nobody is asked. @throws OciError when they may not have what it needs: UNAUTHORIZED with a challenge, DENIED, NAME_UNKNOWN */
  function admit(...asked: Parameters<typeof admitNow>): Promise<void> | undefined {
    const open = isOpen()
    if (open === true) return undefined
    return open === false ? admitNow(...asked) : open.then((isSo) => (isSo ? undefined : admitNow(...asked)))
  }

  async function admitNow(
    request: { principal: Principal },
    message: IncomingMessage,
    needed: Access[],
  ): Promise<void> {
    const hasToken = () => readBearer(message.headers.authorization) !== undefined
    try {
      request.principal = (await identify(message.headers, request.principal.address, message)) ?? request.principal
    } catch (error) {
      if (!(error instanceof OciError) || error.code !== 'UNAUTHORIZED') throw error
      throw unauthorized(message, needed, hasToken() ? 'invalid_token' : undefined, error)
    }
    const { principal } = request
    for (const access of needed) {
      const decided = decide(principal, access)
      const verdict = typeof decided === 'string' ? decided : await decided
      if (verdict === 'allowed') continue
      if (hasToken()) throw unauthorized(message, needed, 'insufficient_scope')
      if (principal.kind === 'anonymous') throw unauthorized(message, needed)
      // What the caller may not know about must look like what is not there.
      const isHidden = verdict === 'hidden' && needed.every(({ action }) => action === 'pull')
      // docker tries a refused push again for a minute, unless the refusal has a detail.
      throw new OciError(isHidden ? 'NAME_UNKNOWN' : 'DENIED', { detail: [detailOf(needed)] })
    }
  }

  function unauthorized(
    message: IncomingMessage,
    needed: Access[],
    problem?: TokenProblem,
    cause?: OciError,
  ): OciError {
    const detail = detailOf(needed)
    return new OciError('UNAUTHORIZED', {
      ...(problem === 'insufficient_scope' && { message: lacking }),
      ...(cause && { message: cause.message, cause }),
      detail: [detail.length > 0 ? detail : null],
      headers: { ...cause?.headers, 'WWW-Authenticate': challenger.challenge(needed, message, problem) },
    })
  }

  return {
    admit,
    identify,
    isOpen,
    async allows(principal: Principal, access: Access): Promise<boolean> {
      return (await decide(principal, access)) === 'allowed'
    },
    /**
     * A page of the repositories that the principal may pull; `list` gives those there are. It looks at so many at most: then the page
     * is shorter, and goes on from `next`.
     */
    async readable(principal: Principal, { limit, last }: Page, list: (page: Page) => Promise<string[]>) {
      const items: string[] = []
      const [viewer, seesAll] = viewerOf(principal)
      let place = last
      for (let looked = 0; looked < maxLooked; looked += lookedAtOnce) {
        const names = await list({ limit: lookedAtOnce, last: place })
        for (const name of names) {
          if (items.length >= limit) return { items, next: place }
          if (seesAll || (await decide(viewer, { type: 'repository', name, action: 'pull' })) === 'allowed')
            items.push(name)
          place = name
        }
        if (names.length < lookedAtOnce) return { items, next: undefined }
      }
      return { items, next: place }
    },
    /** A text that changes with the principal's credentials; undefined once those are void. */
    async standing(principal: Principal): Promise<string | undefined> {
      const all = await Promise.all(authenticators.map((one) => one.standing?.(principal)))
      return all.some((text) => text !== undefined) ? JSON.stringify(all) : undefined
    },
    /** What became of a device that waits to be signed in. */
    async redeem(code: string): Promise<Redeemed> {
      for (const { redeem } of authenticators) {
        const found = await redeem?.(code)
        if (found) return found
      }
      return { error: 'invalid_grant' }
    },
    /** Whom another issuer's token stands for, which is then used up. @throws OciError UNAUTHORIZED */
    async exchange(token: string, address: string): Promise<Principal> {
      for (const { exchange } of authenticators) {
        const principal = await exchange?.(token, address)
        if (principal) return principal
      }
      throw new OciError('UNAUTHORIZED', { message: 'nobody here trusts the issuer of this token' })
    },
  }
}

/** Who has a token that is good is not asked who they are; their client may fetch another one. */
const lacking = 'requested access to the resource is denied: the token does not grant it'

/**
 * Whose repositories a list holds: a token that grants the list stands for all that its holder may pull, named in it or not; for
 * all there are where nobody here knows the holder.
 */
function viewerOf(principal: Principal): [viewer: Principal, seesAll: boolean] {
  const { granted, ...holder } = principal
  const isGranted = granted?.some((grant) => covers(grant, { type: 'registry', name: 'catalog', action: '*' }))
  return isGranted ? [holder, principal.foreign === true] : [principal, false]
}
