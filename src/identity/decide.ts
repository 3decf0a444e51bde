import type { Access, Verdict } from '../auth/types.ts'
import type { Context } from './conditions.ts'
import { namespaceOf } from './names.ts'
import { matchesPattern } from './pattern.ts'
import { judge, type Policy, type PrincipalNames } from './policy.ts'
import { allows, lets, type RepositoryAction } from './roles.ts'

/** What holds where nothing else is said: as in registry:2 without `auth`, everybody may pull, or nobody may do anything. */
export type Mode = 'open' | 'public-read' | 'closed'

/** All that is known of who asks. */
export interface Profile {
  kind: 'anonymous' | 'user' | 'robot'
  name: string
  /** Signed in by something that knows no accounts, such as an htpasswd file: may do everything to repositories, as in registry:2. */
  isOutside: boolean
  isAdministrator: boolean
  isDisabled: boolean
  /** Namespaces that are its own, or its organization's where it is an owner. */
  owned: ReadonlySet<string>
  /** Organizations it belongs to. */
  organizations: ReadonlySet<string>
  /** What grants and policies may call it. */
  names: PrincipalNames
  grants: readonly { repositories: string; roles: readonly string[]; principal: string }[]
}

/** What the access token it signed in with lets through; no repositories: all. */
export interface Restriction {
  scopes: readonly string[]
  repositories: readonly string[]
}

/** What is known of what is asked about. */
export interface Situation {
  mode: Mode
  visibility: 'public' | 'private' | undefined
  /** The repository is not there, and who pushes to it does not make it. */
  isClosedToNew: boolean
  policies: readonly Policy[]
  context: Context
}

export interface Decision {
  verdict: Verdict
  /** What decided, for people. */
  rule: string
}

const allowed = (rule: string): Decision => ({ verdict: 'allowed', rule })
const isOff = 'the account is disabled'
const denied = (rule: string): Decision => ({ verdict: 'denied', rule })

/**
 * May they? The one place where that is decided. Nobody may what nothing allows; what a policy denies nobody may; a token never
 * allows more than its owner may. `hidden` is a repository that who asks may not read, whether it is there or not.
 */
export function decide(
  profile: Profile,
  access: Access,
  situation: Situation,
  restriction: Restriction | undefined,
): Decision {
  if (access.type === 'repository') {
    const { name, action } = access
    const decision = decideRepository(profile, name, action, situation, restriction)
    if (decision.verdict === 'allowed') return decision
    if (action !== 'pull' && decideRepository(profile, name, 'pull', situation, restriction).verdict === 'allowed')
      return decision
    return { ...decision, verdict: 'hidden' }
  }
  if (profile.isDisabled) return denied(isOff)
  if (access.type === 'organization') return decideOrganization(profile, access.name, access.action, restriction)
  return decideRegistry(profile, access.name, situation, restriction)
}

function decideRepository(
  profile: Profile,
  repository: string,
  action: RepositoryAction,
  { mode, visibility, isClosedToNew, policies, context }: Situation,
  restriction: Restriction | undefined,
): Decision {
  if (profile.isDisabled) return denied(isOff)
  const policy = judge(policies, { action, repository, names: profile.names, context })
  if (policy?.effect === 'Deny') return denied(`policy ${policy.by}`)
  const isPublic = visibility === 'public' || (visibility === undefined && mode !== 'closed')
  if (isPublic && action === 'pull') return allowed('everybody may pull what is public')
  const isOpen = mode === 'open' && visibility !== 'private' && action !== 'admin'
  if (restriction) {
    const { scopes, repositories } = restriction
    if (!lets(scopes, action)) return denied(`the access token has no scope for ${action}`)
    if (repositories.length > 0 && !repositories.some((pattern) => matchesPattern(pattern, repository)))
      return denied('the access token is for other repositories')
  }
  if (isOpen) return allowed('access is open')
  if (profile.isAdministrator) return allowed('administrators may everything')
  if (profile.isOutside && action !== 'admin') return allowed('who is in the password file may everything')
  if (profile.owned.has(namespaceOf(repository))) return allowed(`owner of ${namespaceOf(repository)}`)
  if (isClosedToNew && action === 'push') return denied('there is no such repository, and pushing makes none here')
  for (const { repositories, roles, principal } of profile.grants) {
    const role = matchesPattern(repositories, repository) && roles.find((name) => allows(name, action))
    if (role) return allowed(`${principal} has ${role} on ${repositories}`)
  }
  if (policy) return allowed(`policy ${policy.by}`)
  return denied(`nothing allows ${action}`)
}

function decideOrganization(
  { isAdministrator, owned, organizations }: Profile,
  name: string,
  action: 'read' | 'admin',
  restriction: Restriction | undefined,
): Decision {
  if (restriction && !lets(restriction.scopes, `organization:${action}`))
    return denied(`the access token has no scope for organizations`)
  if (isAdministrator) return allowed('administrators may everything')
  if (owned.has(name)) return allowed(`owner of ${name}`)
  if (action === 'read' && organizations.has(name)) return allowed(`member of ${name}`)
  // Who may not see an organization is not told whether there is one.
  return organizations.has(name)
    ? denied(`not an owner of ${name}`)
    : { verdict: 'hidden', rule: `not a member of ${name}` }
}

function decideRegistry(
  { kind, isAdministrator, names }: Profile,
  what: 'api' | 'catalog' | 'self' | 'admin',
  { mode, policies, context }: Situation,
  restriction: Restriction | undefined,
): Decision {
  if (what === 'admin') {
    if (restriction && !lets(restriction.scopes, 'registry:admin')) return denied('the access token has no scope admin')
    return isAdministrator ? allowed('administrators may everything') : denied('not an administrator')
  }
  if (kind === 'anonymous') {
    const isOpen = what !== 'self' && (mode === 'open' || (mode === 'public-read' && what === 'catalog'))
    return isOpen ? allowed(`access is ${mode}`) : denied('nobody signed in')
  }
  const policy = judge(policies, { action: 'login', repository: '', names, context })
  if (what === 'api' && policy?.effect === 'Deny') return denied(`policy ${policy.by}`)
  return allowed('signed in')
}
