import type { IncomingHttpHeaders } from 'node:http'

/** Who calls. */
export type Principal =
  | { kind: 'anonymous'; address: string }
  | { kind: 'user' | 'robot'; name: string; address: string }

/** One thing a caller wants to do; a route names every access it needs. */
export type Access =
  | { type: 'repository'; name: string; action: 'pull' | 'push' | 'delete' }
  | { type: 'registry'; name: 'catalog'; action: '*' }
  /** The API itself: where sign-in exists, clients learn from its refusal how to. */
  | { type: 'registry'; name: 'api'; action: 'pull' }

/** Reads one kind of credentials: undefined when the headers hold none of its kind; throws UNAUTHORIZED when they are wrong. */
export interface Authenticator {
  authenticate(headers: IncomingHttpHeaders, address: string): Promise<Principal | undefined>
}

/** Decides; without one, as in registry:2 without `auth`, everyone may do everything. */
export interface Authorizer {
  allows(principal: Principal, access: Access): Promise<boolean>
  /** The `WWW-Authenticate` header that asks for credentials for this. */
  challenge(needed: Access[]): string
}
