import type { IncomingHttpHeaders } from 'node:http'

/** What a bearer token says that its holder may do. */
export interface Grant {
  type: string
  name: string
  actions: readonly string[]
}

/** Who calls. With `granted` that alone decides: whoever issued the token has asked the authorizer. */
export type Principal = { address: string; granted?: readonly Grant[] } & (
  | { kind: 'anonymous' }
  /** `token` is the id of the access token it signed in with, which may allow less than its owner may do. */
  | { kind: 'user' | 'robot'; name: string; token?: string }
)

/** One thing a caller wants to do; a route names every access it needs. */
export type Access =
  | { type: 'repository'; name: string; action: 'pull' | 'push' | 'delete' | 'sign' | 'admin' }
  | { type: 'registry'; name: 'catalog'; action: '*' }
  /** What only who signed in may ask about: themselves; and what only administrators may. */
  | { type: 'registry'; name: 'self' | 'admin'; action: '*' }
  | { type: 'organization'; name: string; action: 'read' | 'admin' }
  /** The API itself: where sign-in exists, clients learn from its refusal how to. */
  | { type: 'registry'; name: 'api'; action: 'pull' }

/** Reads one kind of credentials: undefined when the headers hold none of its kind; throws UNAUTHORIZED when they are wrong. */
export interface Authenticator {
  authenticate(headers: IncomingHttpHeaders, address: string): Promise<Principal | undefined>
}

/** `hidden`: refused to who may not even know that it exists. */
export type Verdict = 'allowed' | 'denied' | 'hidden'

/** Decides; without one, as in registry:2 without `auth`, everyone may do everything. */
export interface Authorizer {
  decide(principal: Principal, access: Access): Promise<Verdict>
}

/** Asks for credentials; `problem` is what is wrong with a bearer token that was sent (RFC 6750 3.1). */
export interface Challenger {
  /** The `WWW-Authenticate` header. */
  challenge(needed: Access[], headers: IncomingHttpHeaders, problem?: 'invalid_token' | 'insufficient_scope'): string
}
