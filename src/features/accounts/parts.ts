import type { IncomingMessage } from 'node:http'
import type { Vault } from '../../auth/vault.ts'
import type { AccountFacts } from '../../metadata/account-facts.ts'
import type { Log } from '../../platform/log.ts'
import type { Throttle } from '../throttle.ts'
import type { Audit } from './audit.ts'

/** What each way to sign in by browser is made of. */
export interface SignInParts {
  facts: AccountFacts
  vault: Vault
  audit: Audit
  throttle: Throttle
  log: Log
  clock: { now(): Date }
  baseOf(message: IncomingMessage): string
}
