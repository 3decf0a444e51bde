import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** What a bearer token says that its holder may do. */
export interface Grant {
  type: string
  /** Of repositories also a pattern: `*` stands for any letters but a slash, `**` for any at all. */
  name: string
  actions: readonly string[]
}

/** Who calls. With `granted` that alone decides: whoever issued the token has asked the authorizer. */
export type Principal = {
  address: string
  granted?: readonly Grant[]
  /** Nobody here knows them: an issuer of others alone has said what they may. */
  foreign?: true
  /** Milliseconds since 1970: no token issued for it may last longer. */
  until?: number
} & (
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

/** Reads one kind of credentials. */
export interface Authenticator {
  /**
   * Undefined when the headers hold none of its kind; at once where nothing need be looked up. The message is there where the credentials are
   * those of a request, which may have come by a connection that says who it is.
   * @throws OciError UNAUTHORIZED when they are wrong, without a challenge
   */
  authenticate(
    headers: IncomingHttpHeaders,
    address: string,
    message?: IncomingMessage,
  ): Principal | undefined | Promise<Principal | undefined>
  /**
   * A text that changes with the credentials of a principal of its own; undefined of others, and once those are void. What was
   * issued for the principal ends with it.
   */
  standing?(principal: Principal): Promise<string | undefined>
  /**
   * Takes another issuer's token once (RFC 8693) and gives whom it stands for; undefined when it is none that it knows.
   * @throws OciError UNAUTHORIZED
   */
  exchange?(token: string, address: string): Promise<Principal | undefined>
  /** What became of a device that waits to be signed in; undefined when it is none of its own. */
  redeem?(code: string): Promise<Redeemed | undefined>
}

/** What a device's code has come to (RFC 8628 3.5): an access token, or the error to tell. */
export type Redeemed =
  | { token: string }
  | { error: 'authorization_pending' | 'slow_down' | 'access_denied' | 'invalid_grant' }

/** `hidden`: refused to who may not even know that it exists. */
export type Verdict = 'allowed' | 'denied' | 'hidden'

/** Decides; without one, as in registry:2 without `auth`, everyone may do everything. */
export interface Authorizer {
  decide(principal: Principal, access: Access): Verdict | Promise<Verdict>
  /** Whether everyone may do everything, so that nobody need be asked; a promise when it has to look. */
  isOpen?(): boolean | Promise<boolean>
}

/** What is wrong with a bearer token that was sent (RFC 6750 3.1). */
export type TokenProblem = 'invalid_token' | 'insufficient_scope'

/** Asks for credentials. */
export interface Challenger {
  /** The `WWW-Authenticate` header; `needed` is empty where nothing is needed, but the credentials that came are wrong. */
  challenge(needed: Access[], message: IncomingMessage, problem?: TokenProblem): string
}
