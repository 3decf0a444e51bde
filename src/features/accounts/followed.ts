import {
  type Account,
  type AccountChange,
  type AccountFacts,
  type AuditEntry,
  newAccount,
} from '../../metadata/account-facts.ts'
import type { Log } from '../../platform/log.ts'

/** What a group of others stands for here. */
export interface Mapping {
  /** `ORGANIZATION/TEAM`. */
  team: string | undefined
  administrator: boolean
}

/** Somebody whom others know, as they have just told. */
export interface Known {
  /** What stands in the place of the password's hash: it fits none, and says whose account it is. */
  mark: string
  /** Those of the mappings whose group they are in. */
  applying: Mapping[]
  /** For the audit log. */
  detail: Record<string, unknown>
}

interface Deps {
  facts: AccountFacts
  /** All there are: other teams are none of this one's business. */
  mappings: Mapping[]
  /** Who knows them, for log and audit log. */
  by: 'ldap' | 'openid'
  log: Log
  clock: { now(): Date }
}

const attempts = 10
const heldHint =
  'there were images in the namespace of that name, so it is not theirs: grant them what they may, or set ownsNamespace of the user'

/** Keeps the accounts of users whom others know: made at the first sign-in, with the teams of their groups as they are at each. */
export function createFollowed({ facts, mappings, by, log, clock }: Deps) {
  const managesAdministrators = mappings.some(({ administrator }) => administrator)

  async function changesFor(account: Account, isNew: boolean, applying: Mapping[]): Promise<AccountChange[]> {
    const isAdministrator = managesAdministrators
      ? applying.some(({ administrator }) => administrator)
      : account.isAdministrator
    const changes: AccountChange[] = []
    if (isNew || isAdministrator !== account.isAdministrator)
      changes.push({ table: 'account', put: { ...account, isAdministrator } })
    const wanted = new Set(applying.flatMap(({ team }) => team ?? []))
    const managed = new Set(mappings.flatMap(({ team }) => team ?? []))
    return [...changes, ...(await teamChanges(account.name, wanted, managed))]
  }

  /** Who is in none of an organization's teams any more is no member of it either, unless an owner. */
  async function teamChanges(name: string, wanted: Set<string>, managed: Set<string>): Promise<AccountChange[]> {
    const present = await facts.list('member', { account: name })
    const changes: AccountChange[] = []
    for (const organization of new Set([...managed].map((team) => team.split('/')[0]!))) {
      const own = present.filter((member) => member.organization === organization)
      const membership = own.find(({ team }) => team === '')
      const teams = new Set(own.map(({ team }) => team).filter((team) => team !== ''))
      for (const path of managed) {
        const team = path.slice(organization.length + 1)
        if (!path.startsWith(`${organization}/`) || wanted.has(path) === teams.has(team)) continue
        const row = { organization, team, account: name }
        if (!wanted.has(path)) {
          teams.delete(team)
          changes.push({ table: 'member', remove: row })
        } else if (await facts.find('team', { organization, name: team })) {
          teams.add(team)
          changes.push({ table: 'member', put: { ...row, role: 'member' } })
        } else log.warn(`${by}.no-such-team`, { team: path, user: name })
      }
      const place = { organization, team: '', account: name }
      if (teams.size > 0 && !membership) changes.push({ table: 'member', put: { ...place, role: 'member' } })
      if (teams.size === 0 && membership?.role === 'member') changes.push({ table: 'member', remove: place })
    }
    return changes
  }

  /** Whoever chooses names elsewhere shall not get by one what others have pushed here. */
  async function newcomer(name: string): Promise<Account> {
    const ownsNamespace = !(await facts.holds({ namespace: name }))
    if (!ownsNamespace) log.warn(`${by}.namespace-held`, { user: name, hint: heldHint })
    return { ...newAccount(name, 'user', clock.now().getTime()), ownsNamespace }
  }

  return {
    /** Makes the account as others have it; false where the name is somebody else's, or the account is disabled. */
    async refresh(name: string, { mark, applying, detail }: Known, address: string): Promise<boolean> {
      for (let attempt = 1; attempt <= attempts; attempt++) {
        const version = await facts.version()
        const present = await facts.find('account', { name })
        if (present && (present.kind !== 'user' || present.password !== mark || present.isDisabled)) return false
        const account = present ?? { ...(await newcomer(name)), password: mark }
        const changes = await changesFor(account, present === undefined, applying)
        if (changes.length === 0) return true
        const action = present ? 'user.changed' : 'user.created'
        const entry: AuditEntry = { action, actor: name, address, target: name, detail: { by, ...detail } }
        if (await facts.change(version, changes, [entry])) return true
      }
      throw new Error('others change accounts at the same time')
    },
  }
}
