import { invalid } from '../../../api/problem.ts'
import { text } from '../../../api/schema.ts'
import type { AccessControl } from '../../../auth/control.ts'
import type { Vault } from '../../../auth/vault.ts'
import { isRepositoryPattern } from '../../../identity/names.ts'
import type { AccountFacts } from '../../../metadata/account-facts.ts'
import type { SizeFacts } from '../../../metadata/size-facts.ts'
import type { MetadataStore } from '../../../registry/ports/metadata.ts'
import type { Audit } from '../audit.ts'
import type { createAuthorizer } from '../authorizer.ts'
import type { Directory } from '../directory.ts'
import type { Refusals } from '../refusals.ts'
import type { Passkeys } from '../passkeys/passkeys.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { SignIn } from '../sign-in.ts'

export { found, invalid } from '../../../api/problem.ts'
export { type Edit, edit } from '../../edit.ts'

/** What the operations work with. */
export interface Deps {
  facts: AccountFacts
  vault: Vault
  metadata: MetadataStore
  sizes: SizeFacts
  clock: { now(): Date }
  directory: Directory
  audit: Audit
  refusals: Refusals
  signIn: SignIn
  sessions: Sessions
  passkeys(): Promise<Passkeys>
  /** Whether `/oidc/login` leads anywhere. */
  hasOpenId: boolean
  judge: ReturnType<typeof createAuthorizer>['judge']
  access(): AccessControl | undefined
  /** To be told after each change. */
  changed(): Promise<void>
}

export const description = text({ max: 500, pattern: /^[^\p{Cc}]*$/u, form: 'expected one line of text' })

export const repositoryPattern = text({
  min: 1,
  max: 255,
  pattern: /^[a-z0-9._*?/-]+$/,
  form: 'expected a pattern of repositories such as acme/*',
})

/** @throws Problem invalid */
export function expectPatterns(patterns: string[], pointer: string): void {
  for (const [index, pattern] of patterns.entries())
    if (!isRepositoryPattern(pattern))
      throw invalid(`${pointer}/${index}`, 'expected a pattern of repositories such as acme/*')
}

/** A moment as the API tells it; none as null. */
export const timeOf = (ms: number) => (ms === 0 ? null : new Date(ms).toISOString())
