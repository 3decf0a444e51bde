import { readFile } from 'node:fs/promises'
import type { Vault } from '../../auth/vault.ts'
import type { Configuration } from '../../config/configuration.ts'
import { accountNameForm, isAccountName } from '../../identity/names.ts'
import { createPasswords, objectionToPassword } from '../../identity/passwords.ts'
import { hashSecret, makeSecret } from '../../identity/secrets.ts'
import { type AccountFacts, newAccount } from '../../metadata/account-facts.ts'
import type { Log } from '../../platform/log.ts'

interface Start {
  facts: AccountFacts
  log: Log
  clock: { now(): Date }
}

/** How long a link for the first set-up is good. */
const setupMs = 24 * 60 * 60_000

/** What stands where others have the hash of a password: it fits none, and says that an LDAP server knows it. */
export const ldapMark = 'ldap'

/** Makes the administrator of the configuration, if there is none. @throws Error naming the key where that cannot be */
export async function makeAdministrator({
  facts,
  admin: { user, password: given },
  passwords,
  log,
  clock,
}: Start & {
  admin: NonNullable<Configuration['admin']>
  passwords: ReturnType<typeof createPasswords>
}): Promise<void> {
  const version = await facts.version()
  if (await hasAdministrator(facts)) return
  const password = 'text' in given ? given.text : await readPassword(given.file)
  if (!isAccountName(user))
    throw new Error(`holdfast.admin.user: ${JSON.stringify(user)} is no name of an account: ${accountNameForm}`)
  const objection = objectionToPassword(password, user)
  if (objection) throw new Error(`holdfast.admin.password: it ${objection}`)
  const present = (await facts.find('account', { name: user })) ?? newAccount(user, 'user', clock.now().getTime())
  if (present.kind !== 'user') throw new Error(`holdfast.admin.user: ${user} is the name of an ${present.kind}`)
  const account = { ...present, password: await passwords.hash(password), isAdministrator: true, isDisabled: false }
  const entry = { action: 'user.created', actor: '', address: '', target: user, detail: { by: 'configuration' } }
  // Where another node was faster it did the same.
  if (await facts.change(version, [{ table: 'account', put: account }], [entry])) log.info('admin.created', { user })
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (cause) {
    throw new Error(`holdfast.admin.passwordfile: cannot read ${file}: ${(cause as Error).message}`, { cause })
  }
}

export async function hasAdministrator(facts: AccountFacts): Promise<boolean> {
  return (
    (await facts.list('account', { kind: 'user', isAdministrator: true, isDisabled: false }, { limit: 1 })).length > 0
  )
}

/** The kind of entries in the vault that let the first administrator in. */
export const setupKind = 'setup'

/** Tells in the log how the first administrator is made, while there is none; the code is good for a day, and once. */
export async function offerSetup({ facts, vault, log, clock }: Start & { vault: Vault }): Promise<void> {
  if (await hasAdministrator(facts)) return
  const code = makeSecret('set')
  const endsAt = new Date(clock.now().getTime() + setupMs)
  await vault.add(setupKind, hashSecret(code), { text: '', endsAt })
  log.warn('setup.open', {
    code,
    hint: 'no administrator yet: run "holdfast setup URL CODE", or "holdfast admin user add NAME --admin" beside the data',
  })
}
