import type { Access, Authorizer, Principal, Verdict } from '../../auth/types.ts'
import { type Decision, decide, type Mode } from '../../identity/decide.ts'
import { namespaceOf } from '../../identity/names.ts'
import type { AccountFacts } from '../../metadata/account-facts.ts'
import type { Directory } from './directory.ts'

interface Deps {
  directory: Directory
  facts: AccountFacts
  clock: { now(): Date }
  /** What everybody may do, as it stands. */
  mode(): Promise<Mode>
}

const maxThere = 20_000
const gone: Decision = { verdict: 'denied', rule: 'the access token is gone', fix: 'make a new one' }

/** Gathers what is known and lets `identity/decide.ts` decide. */
export function createAuthorizer({ directory, facts, clock, mode }: Deps) {
  /** Repositories that were there: that one was says nothing of those that are private. */
  const there = new Set<string>()

  async function judge(principal: Principal, access: Access): Promise<Decision> {
    await directory.look()
    const token = principal.kind === 'anonymous' ? undefined : principal.token
    const restriction = token === undefined ? undefined : await directory.restrictionOf(token)
    if (token !== undefined && !restriction) return gone
    const [profile, policies] = [await directory.profileOf(principal), await directory.policies()]
    const repository = access.type === 'repository' ? access.name : undefined
    const visibility = repository === undefined ? undefined : await directory.visibility(repository)
    const situation = {
      mode: await mode(),
      visibility,
      isAbsent: repository !== undefined && visibility === undefined && (await isAbsent(repository)),
      isClosedToNew: repository !== undefined && access.action === 'push' && (await isClosedToNew(repository)),
      policies,
      context: policies.length > 0 ? contextOf(principal, profile.names) : {},
      restriction,
    }
    return decide(profile, access, situation)
  }

  /** Whether there is no such repository, and its organization does not have it made by a push. */
  async function isClosedToNew(repository: string): Promise<boolean> {
    const owner = await directory.account(namespaceOf(repository))
    return owner?.kind === 'organization' && !owner.createsOnPush && !(await facts.holds({ repository }))
  }

  /**
   * Whether there is no such repository, where that is not to be told from a private one. Who may push anywhere learns it in any case, and
   * where all is closed nobody can tell.
   */
  async function isAbsent(repository: string): Promise<boolean> {
    if ((await mode()) !== 'public-read' || there.has(repository)) return false
    if (!(await facts.holds({ repository }))) return true
    if (there.size >= maxThere) there.clear()
    there.add(repository)
    return false
  }

  function contextOf(principal: Principal, names: ReadonlySet<string>) {
    const name = principal.kind === 'anonymous' ? undefined : principal.name
    const teams = [...names].filter((one) => one.startsWith('team:')).map((one) => one.slice('team:'.length))
    const now = clock.now()
    return {
      'aws:username': name,
      'aws:userid': name,
      'aws:principaltype': principal.kind,
      'aws:sourceip': principal.address === '' ? undefined : principal.address,
      'aws:currenttime': now.toISOString(),
      'aws:epochtime': String(Math.floor(now.getTime() / 1000)),
      'holdfast:teams': teams,
      'holdfast:token': principal.kind === 'anonymous' ? undefined : principal.token,
    }
  }

  const verdictOf = async (principal: Principal, access: Access) => (await judge(principal, access)).verdict
  const remembered = directory.remembering(
    (_key, ...asked: Parameters<typeof verdictOf>) => verdictOf(...asked),
    (verdict) => verdict === 'allowed', // what is hidden for it is not there may be there a moment later
  )

  function decideNow(principal: Principal, access: Access): Verdict | Promise<Verdict> {
    return isLasting(principal, access) && hasNoPolicies()
      ? remembered(
          `${access.name} ${principal.kind === 'anonymous' ? '' : `${principal.kind} ${principal.name}`}`,
          principal,
          access,
        )
      : verdictOf(principal, access)
  }

  /** A policy may look at the hour and at where somebody is. */
  function hasNoPolicies(): boolean {
    const policies = directory.policies()
    return Array.isArray(policies) && policies.length === 0
  }

  const authorizer: Authorizer = {
    decide(principal, access) {
      const looking = directory.look()
      return looking ? looking.then(() => decideNow(principal, access)) : decideNow(principal, access)
    },
  }
  return { ...authorizer, judge }
}

/** Whether the answer stays the same until accounts change: a token runs out, and a push depends on what repositories there are. */
function isLasting(principal: Principal, { type, action }: Access): boolean {
  return type === 'repository' && action === 'pull' && (principal.kind === 'anonymous' || principal.token === undefined)
}
