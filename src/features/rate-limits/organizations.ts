import type { Principal } from '../../auth/types.ts'
import type { AccountFacts } from '../../metadata/account-facts.ts'

/** How long it is believed who belongs where, and of how many. */
const [freshMs, maxKnown] = [5000, 10_000]

interface Deps {
  facts: Pick<AccountFacts, 'find' | 'list'>
  /** Those that matter; none: nobody is asked about. */
  names: ReadonlySet<string>
  clock: { now(): Date }
}

export type OrganizationsOf = ReturnType<typeof createOrganizations>

/** To which organizations with a limit somebody belongs: users who are members, and an organization's own robots. */
export function createOrganizations({ facts, names, clock }: Deps) {
  const known = new Map<string, { organizations: string[]; until: number }>()

  async function read(kind: 'user' | 'robot', name: string): Promise<string[]> {
    if (kind === 'robot') return [(await facts.find('account', { name, kind }))?.organization ?? '']
    return (await facts.list('member', { account: name, team: '' })).map(({ organization }) => organization)
  }

  return async function organizationsOf(principal: Principal): Promise<string[]> {
    if (names.size === 0 || principal.kind === 'anonymous') return []
    const now = clock.now().getTime()
    const key = `${principal.kind} ${principal.name}`
    const remembered = known.get(key)
    if (remembered && remembered.until > now) return remembered.organizations
    const organizations = (await read(principal.kind, principal.name)).filter((name) => names.has(name))
    if (known.size >= maxKnown) known.clear()
    known.set(key, { organizations, until: now + freshMs })
    return organizations
  }
}
