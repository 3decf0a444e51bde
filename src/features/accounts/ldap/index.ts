import type { Basic } from '../../../auth/basic.ts'
import type { LdapConfiguration } from '../../../config/configuration.ts'
import { isAccountName } from '../../../identity/names.ts'
import { OciError } from '../../../oci/errors.ts'
import type { AccountFacts } from '../../../metadata/account-facts.ts'
import type { Log } from '../../../platform/log.ts'
import { createFollowed } from '../followed.ts'
import { ldapMark } from '../start.ts'
import { createLdapServer, type Found, type LdapServer } from './server.ts'

interface Deps {
  configuration: LdapConfiguration
  facts: AccountFacts
  log: Log
  clock: { now(): Date }
  /** Told after an account changed. */
  changed(): Promise<void>
}

/** How many are asked about at once. */
const maxAsking = 20

export type Ldap = Awaited<ReturnType<typeof createLdap>>

/** Users of an LDAP server. @throws Error naming what of the configuration cannot be used */
export async function createLdap({ configuration, facts, log, clock, changed }: Deps) {
  const server: LdapServer = await createLdapServer(configuration)
  const mappings = configuration.groups
  const accounts = createFollowed({ facts, mappings, by: 'ldap', log, clock })
  let asking = 0

  return {
    /**
     * Whether this is the password of a user there, whose account is up to date then; undefined where nobody has the name.
     * @throws OciError UNAVAILABLE when the server cannot be asked
     */
    async signIn({ name, password }: Basic, address: string): Promise<boolean | undefined> {
      // A name that no account can have goes nowhere, whatever it holds.
      if (!isAccountName(name)) return undefined
      if (asking >= maxAsking) throw unavailable('too many sign in at once')
      asking++
      try {
        const outcome = await server.ask(name, password)
        if (outcome === 'unknown') return undefined
        if (outcome === 'wrong') return false
        const { dn, groups } = outcome
        const applying = mappings.filter(({ group }) => groups.some((one) => isSameGroup(group, one)))
        const known = { mark: ldapMark, applying, detail: { dn: dn.slice(0, 300) } }
        const isTheirs = await accounts.refresh(name, known, address)
        if (isTheirs) await changed()
        else log.warn('ldap.refused', { user: name, reason: 'the account is disabled, or the name is another one’s' })
        return isTheirs
      } catch (error) {
        log.error('ldap.failed', { url: configuration.url, user: name, error: (error as Error).message })
        throw unavailable('the directory of users cannot be asked')
      } finally {
        asking--
      }
    },
  }
}

/** Whether a group of the configuration is this one: by its whole name, or by what it is called. */
function isSameGroup(wanted: string, { dn, name }: Found['groups'][number]): boolean {
  return wanted.includes('=') ? plain(wanted) === plain(dn) : wanted.toLowerCase() === name.toLowerCase()
}

const plain = (dn: string) => dn.toLowerCase().replaceAll(/\s*([,=+])\s*/g, '$1')

function unavailable(reason: string): OciError {
  return new OciError('UNAVAILABLE', { message: `${reason}: try again in a moment`, headers: { 'Retry-After': '5' } })
}
