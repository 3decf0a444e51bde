import type { LdapConfiguration } from '../../../config/configuration.ts'
import type { Account, AccountChange, AccountFacts, AuditEntry } from '../../../metadata/account-facts.ts'
import type { Log } from '../../../platform/log.ts'
import { ldapMark, newAccount } from '../start.ts'
import type { Found } from './server.ts'

interface Deps {
  facts: AccountFacts
  mappings: LdapConfiguration['groups']
  log: Log
  clock: { now(): Date }
}

const attempts = 10

/** Keeps the accounts of an LDAP server's users: made at the first sign-in, with the teams of their groups as they are at each. */
export function createLdapAccounts({ facts, mappings, log, clock }: Deps) {
  const managesAdministrators = mappings.some(({ administrator }) => administrator)

  async function changesFor(name: string, { groups }: Found, account: Account): Promise<AccountChange[]> {
    const applying = mappings.filter(({ group }) => groups.some((one) => isSameGroup(group, one)))
    const isAdministrator = managesAdministrators
      ? applying.some(({ administrator }) => administrator)
      : account.isAdministrator
    const isNew = (await facts.find('account', { name })) === undefined
    const changes: AccountChange[] = []
    if (isNew || isAdministrator !== account.isAdministrator)
      changes.push({ table: 'account', put: { ...account, isAdministrator } })
    const wanted = new Set(applying.flatMap(({ team }) => team ?? []))
    const managed = new Set(mappings.flatMap(({ team }) => team ?? []))
    return [...changes, ...(await teamChanges(name, wanted, managed))]
  }

  /** Teams are `ORGANIZATION/TEAM`. Who is in none of an organization's any more is no member of it either, unless an owner. */
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
        } else log.warn('ldap.no-such-team', { team: path, user: name })
      }
      const place = { organization, team: '', account: name }
      if (teams.size > 0 && !membership) changes.push({ table: 'member', put: { ...place, role: 'member' } })
      if (teams.size === 0 && membership?.role === 'member') changes.push({ table: 'member', remove: place })
    }
    return changes
  }

  return {
    /** Makes the account as the server has it; false where the name is somebody else's, or the account is disabled. */
    async refresh(name: string, found: Found, address: string): Promise<boolean> {
      for (let attempt = 1; attempt <= attempts; attempt++) {
        const version = await facts.version()
        const present = await facts.find('account', { name })
        if (present && (present.kind !== 'user' || present.password !== ldapMark || present.isDisabled)) return false
        const account = present ?? { ...newAccount(name, 'user', clock.now().getTime()), password: ldapMark }
        const changes = await changesFor(name, found, account)
        if (changes.length === 0) return true
        const action = present ? 'user.changed' : 'user.created'
        const detail = { by: 'ldap', dn: found.dn.slice(0, 300) }
        const entry: AuditEntry = { action, actor: name, address, target: name, detail }
        if (await facts.change(version, changes, [entry])) return true
      }
      throw new Error('others change accounts at the same time')
    },
  }
}

/** Whether a group of the configuration is this one: by its whole name, or by what it is called. */
function isSameGroup(wanted: string, { dn, name }: Found['groups'][number]): boolean {
  return wanted.includes('=') ? plain(wanted) === plain(dn) : wanted.toLowerCase() === name.toLowerCase()
}

const plain = (dn: string) => dn.toLowerCase().replaceAll(/\s*([,=+])\s*/g, '$1')
