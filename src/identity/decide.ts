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
  /** The repository is not there, which must look as if it was private. */
  isAbsent?: boolean
  policies: readonly Policy[]
  context: Context
  /** Undefined where no access token was used. */
  restriction?: Restriction | undefined
}

export interface Decision {
  verdict: Verdict
  /** What decided, for people. */
  rule: string
  /** What would have to change that they may; undefined where they may. */
  fix?: string
}

const allowed = (rule: string): Decision => ({ verdict: 'allowed', rule })
const isOff = 'the account is disabled'
const denied = (rule: string, fix: string): Decision => ({ verdict: 'denied', rule, fix })
const enabled = 'an administrator enables the account'
const signedIn = 'sign in: holdfast login HOST, or docker login HOST'
const byAdministrator = 'an administrator does it'

/**
 * May they? The one place where that is decided. Nobody may what nothing allows; what a policy denies nobody may; a token never
 * allows more than its owner may. `hidden` is a repository that who asks may not read, whether it is there or not.
 */
export function decide(profile: Profile, access: Access, situation: Situation): Decision {
  if (access.type === 'repository') {
    const decision = decideRepository(profile, access, situation)
    if (decision.verdict === 'allowed') return decision
    const pull = { name: access.name, action: 'pull' } as const
    const mayRead = access.action !== 'pull' && decideRepository(profile, pull, situation).verdict === 'allowed'
    return mayRead ? decision : { ...decision, verdict: 'hidden' }
  }
  if (profile.isDisabled) return denied(isOff, enabled)
  if (access.type === 'organization') return decideOrganization(profile, access, situation)
  return decideRegistry(profile, access.name, situation)
}

interface InRepository {
  name: string
  action: RepositoryAction
}

function decideRepository(profile: Profile, { name, action }: InRepository, situation: Situation): Decision {
  if (profile.isDisabled) return denied(isOff, enabled)
  const { mode, visibility, isClosedToNew, isAbsent, policies, context, restriction } = situation
  const policy = judge(policies, { action, repository: name, names: profile.names, context })
  if (policy?.effect === 'Deny') return denied(`policy ${policy.by}`, 'change that policy')
  const isPublic = visibility === 'public' || (visibility === undefined && mode !== 'closed' && !isAbsent)
  if (isPublic && action === 'pull') return allowed('everybody may pull what is public')
  const objection = restriction && objectionTo(restriction, name, action)
  if (objection) return denied(objection, 'use an access token that may: holdfast token create')
  if (mode === 'open' && visibility !== 'private' && action !== 'admin') return allowed('access is open')
  const standing = standingOf(profile, name, action)
  if (standing) return allowed(standing)
  if (isClosedToNew && action === 'push')
    return denied(
      'there is no such repository, and pushing makes none here',
      `an owner pushes to it first, or: holdfast org set ${namespaceOf(name)} --create-on-push yes`,
    )
  const grant = grantOf(profile, name, action)
  if (grant) return allowed(grant)
  if (policy) return allowed(`policy ${policy.by}`)
  return denied(`nothing allows ${action}`, grantFix(profile, name, action))
}

/** By which command an owner of the namespace lets them. */
function grantFix({ kind, name: who }: Profile, name: string, action: RepositoryAction): string {
  if (kind === 'anonymous') return signedIn
  const role = { pull: 'read', push: 'write', delete: 'delete', sign: 'write', admin: 'admin' }[action]
  return `an owner of ${namespaceOf(name)} grants it: holdfast repo grant ${name} ${kind}:${who} --role ${role}`
}

/** Why an access token is not good for this; undefined: it is. */
function objectionTo(
  { scopes, repositories }: Restriction,
  name: string,
  action: RepositoryAction,
): string | undefined {
  if (!lets(scopes, action)) return `the access token has no scope for ${action}`
  if (repositories.length === 0 || repositories.some((pattern) => matchesPattern(pattern, name))) return undefined
  return 'the access token is for other repositories'
}

/** Who they are that they may do this without a grant; undefined: nobody of that kind. */
function standingOf({ isAdministrator, isOutside, owned }: Profile, name: string, action: RepositoryAction) {
  if (isAdministrator) return 'administrators may everything'
  if (isOutside && action !== 'admin') return 'who is in the password file may everything'
  return owned.has(namespaceOf(name)) ? `owner of ${namespaceOf(name)}` : undefined
}

function grantOf({ grants }: Profile, name: string, action: RepositoryAction): string | undefined {
  for (const { repositories, roles, principal } of grants) {
    const role = matchesPattern(repositories, name) && roles.find((one) => allows(one, action))
    if (role) return `${principal} has ${role} on ${repositories}`
  }
  return undefined
}

function decideOrganization(
  { isAdministrator, owned, organizations }: Profile,
  { name, action }: { name: string; action: 'read' | 'admin' },
  { restriction }: Situation,
): Decision {
  if (restriction && !lets(restriction.scopes, `organization:${action}`))
    return denied(`the access token has no scope for organizations`, 'use one that has')
  if (isAdministrator) return allowed('administrators may everything')
  if (owned.has(name)) return allowed(`owner of ${name}`)
  if (action === 'read' && organizations.has(name)) return allowed(`member of ${name}`)
  // Who may not see an organization is not told whether there is one.
  return organizations.has(name)
    ? denied(`not an owner of ${name}`, `an owner of ${name} does it`)
    : { verdict: 'hidden', rule: `not a member of ${name}` }
}

function decideRegistry(
  { kind, isAdministrator, names }: Profile,
  what: 'api' | 'catalog' | 'self' | 'admin',
  { mode, policies, context, restriction }: Situation,
): Decision {
  if (what === 'admin') {
    if (restriction && !lets(restriction.scopes, 'registry:admin'))
      return denied('the access token has no scope admin', 'use one that has')
    return isAdministrator ? allowed('administrators may everything') : denied('not an administrator', byAdministrator)
  }
  if (kind === 'anonymous') {
    const isOpen = what !== 'self' && (mode === 'open' || (mode === 'public-read' && what === 'catalog'))
    return isOpen ? allowed(`access is ${mode}`) : denied('nobody signed in', signedIn)
  }
  const policy = judge(policies, { action: 'login', repository: '', names, context })
  if (what === 'api' && policy?.effect === 'Deny') return denied(`policy ${policy.by}`, 'change that policy')
  return allowed('signed in')
}
