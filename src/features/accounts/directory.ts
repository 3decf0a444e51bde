import type { Principal } from '../../auth/types.ts'
import type { Profile, Restriction } from '../../identity/decide.ts'
import { parsePolicy, type Policy } from '../../identity/policy.ts'
import type { AccessToken, Account, AccountFacts } from '../../metadata/account-facts.ts'

/** At most so many profiles, tokens and repositories are remembered, each. */
const maxRemembered = 20_000

export type Directory = ReturnType<typeof createDirectory>

interface Deps {
  facts: AccountFacts
  clock: { now(): Date }
  /** How old what is remembered may be before it is asked whether something changed. */
  lookMs: number
  /** Whether there are people whom the database does not know: those of an htpasswd file. */
  hasOutside: boolean
}

/** What the database knows of accounts, remembered until it changes: a decision asks for nothing that was asked before. */
export function createDirectory({ facts, clock, lookMs, hasOutside }: Deps) {
  let version = -1
  let lookedAt = -Infinity
  let looking: Promise<void> | undefined
  let forgets: (() => void)[] = []

  /** Drops what is remembered if something changed. */
  function look(isUrgent = false): Promise<void> | undefined {
    if (!isUrgent && performance.now() - lookedAt < lookMs) return undefined
    return (looking ??= lookNow().finally(() => (looking = undefined)))
  }

  async function lookNow(): Promise<void> {
    const asked = performance.now()
    const present = await facts.version()
    lookedAt = asked
    if (present === version) return
    version = present
    for (const forget of forgets) forget()
  }

  /** Reads by `read` what is not remembered; keeps it only if nothing changed meanwhile. What is remembered comes at once. */
  function remembering<T, Rest extends unknown[]>(
    read: (key: string, ...rest: Rest) => Promise<T>,
    isLasting: (value: T) => boolean = () => true,
  ) {
    const known = new Map<string, T>()
    forgets = [...forgets, () => known.clear()]
    async function readNow(key: string, ...rest: Rest): Promise<T> {
      const before = version
      const value = await read(key, ...rest)
      if (known.size >= maxRemembered) known.clear()
      if (before === version && isLasting(value)) known.set(key, value)
      return value
    }
    return (key: string, ...rest: Rest): T | Promise<T> => (known.has(key) ? known.get(key)! : readNow(key, ...rest))
  }

  const account = remembering((name) => facts.find('account', { name }))
  const tokenByHash = remembering((hash) => facts.find('access_token', { hash }))
  const tokenById = remembering((id) => facts.find('access_token', { id }))
  const visibility = remembering(async (repository) => {
    const found = await facts.find('visibility', { repository })
    return found?.visibility as 'public' | 'private' | undefined
  })
  const policies = remembering(async (): Promise<Policy[]> => {
    const texts = await facts.list('policy', {})
    return texts.map(({ name, namespace, document }) => parsePolicy(name, namespace, document))
  })
  const isAnybodyThere = remembering(
    async () => (await facts.list('account', { kind: 'user' }, { limit: 1 })).length > 0,
  )
  const profileOf = remembering(async (key): Promise<Profile> => {
    const [kind, name] = [key.slice(0, key.indexOf(':')) as 'user' | 'robot', key.slice(key.indexOf(':') + 1)]
    const found = await facts.find('account', { name })
    return found?.kind === kind ? readProfile(found) : strangerOf(kind, name, found)
  })

  async function readProfile(account: Account): Promise<Profile> {
    const { name, kind, organization } = account
    const memberships = await facts.list('member', { account: name })
    const organizations = memberships.filter(({ team }) => team === '')
    const names = new Set([
      '*',
      'everyone',
      `${kind}:${name}`,
      ...organizations.map((member) => `org:${member.organization}`),
      ...memberships.filter(({ team }) => team !== '').map((member) => `team:${member.organization}/${member.team}`),
    ])
    const grants = (await Promise.all([...names].map((principal) => facts.list('role_grant', { principal })))).flat()
    const ofOrganizations = organizations.filter(({ role }) => role === 'owner').map((member) => member.organization)
    const owned = account.ownsNamespace ? [name, ...ofOrganizations] : ofOrganizations
    return {
      kind: kind === 'robot' ? 'robot' : 'user',
      name,
      isOutside: false,
      isAdministrator: account.isAdministrator,
      isDisabled: account.isDisabled,
      owned: new Set(kind === 'robot' ? [] : owned),
      organizations: new Set([
        ...organizations.map((member) => member.organization),
        ...(organization ? [organization] : []),
      ]),
      names,
      grants,
    }
  }

  /** Who signed in by other means than an account; a name that is somebody else's gives nothing. */
  async function strangerOf(kind: 'user' | 'robot', name: string, found: Account | undefined): Promise<Profile> {
    // Where there are accounts a robot must be one of them.
    const isOutside = hasOutside && !found && (kind === 'user' || !(await isAnybodyThere('')))
    const names = new Set(['*', 'everyone', `${kind}:${name}`])
    return { ...nobody, kind, name, isOutside, names, isDisabled: found !== undefined }
  }

  return {
    look,
    remembering,
    account,
    visibility,
    isAnybodyThere: () => isAnybodyThere(''),
    policies: () => policies(''),
    profileOf: (principal: Principal): Profile | Promise<Profile> =>
      principal.kind === 'anonymous' ? nobody : profileOf(`${principal.kind}:${principal.name}`),
    tokenByHash,
    /** What the token that the principal signed in with lets through; undefined: it is gone. */
    async restrictionOf(id: string): Promise<(Restriction & AccessToken) | undefined> {
      const token = await tokenById(id)
      return token && isValid(token) ? token : undefined
    },
    isValid,
  }

  function isValid({ expiresAt }: AccessToken): boolean {
    return expiresAt === 0 || expiresAt > clock.now().getTime()
  }
}

const nobody: Profile = {
  kind: 'anonymous',
  name: '',
  isOutside: false,
  isAdministrator: false,
  isDisabled: false,
  owned: new Set(),
  organizations: new Set(),
  names: new Set(['*', 'anonymous']),
  grants: [],
}
