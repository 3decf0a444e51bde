import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { dropSession, sessionsOf, type Vault } from '../auth/vault.ts'
import { accountNameForm, isAccountName } from '../identity/names.ts'
import { createPasswords, objectionToPassword } from '../identity/passwords.ts'
import { type Account, type AccountFacts, isLastAdministrator, newAccount } from '../metadata/account-facts.ts'
import { openAccounts } from '../metadata/accounts-alone.ts'
import { failure } from './client/failure.ts'
import { print, printList, tell } from './client/output.ts'
import { readSecret } from './client/password.ts'
import { type Given, runVerb } from './client/verbs.ts'
import { configurationOf } from './configuration.ts'

const usage = `Usage: holdfast admin user VERB
       holdfast admin gc [--dry-run] [--force] [--untagged]
       holdfast admin scrub [REPO]
       holdfast admin usage [ORG|REPO]

Changes accounts in the database itself, on the machine it lies on, whether a registry is running or not.

  ls                    list users
  add NAME              make one; without --password-stdin a password is made and told
  passwd NAME           set another password
  disable NAME          let them sign in no more, by tokens neither
  enable NAME           let them sign in again

  --admin               an administrator, with add
  --password-stdin      read the password from standard input
  --config CONFIG       a registry:2 configuration file (config.yml)
  --data DIR            where images are kept (default ./data)
  -o table|json|name    how to print
`

/** `holdfast admin`. */
export async function run([noun, ...args]: string[]): Promise<void> {
  const options = {
    admin: { type: 'boolean' },
    'password-stdin': { type: 'boolean' },
    config: { type: 'string' },
    data: { type: 'string' },
  } as const
  const verbs = {
    ls: { names: 0, run: list },
    add: { names: 1, run: add },
    passwd: { names: 1, run: setPassword },
    disable: { names: 1, run: disable },
    enable: { names: 1, run: (given: Given) => change(given, { isDisabled: false }, 'user.changed') },
  }
  if (noun === 'usage') return (await import('./usage.ts')).run(args)
  if (noun === 'gc') return (await import('./gc.ts')).run(args)
  if (noun === 'scrub') return (await import('./scrub.ts')).run(args)
  if (noun !== 'user') return runVerb({ usage, options, verbs: {} }, noun === undefined ? args : [noun, ...args])
  await runVerb({ usage, options, verbs }, args)
}

async function withAccounts<T>({ text }: Given, work: (facts: AccountFacts, vault: Vault) => Promise<T>): Promise<T> {
  const config = text('config')
  const { storage, databaseUrl } = await configurationOf(config === undefined ? [] : [config], text('data'), usage)
  const folder = join(storage.root, 'holdfast')
  // Who has mistaken the folder would wonder why the registry does not know the account.
  const isNew = databaseUrl === undefined && !existsSync(folder)
  const { facts, vault, close } = await openAccounts({ url: databaseUrl, folder, clock: { now: () => new Date() } })
  if (isNew) tell(`There was no registry in ${storage.root} yet: its database is made there now`)
  return work(facts, vault).finally(close)
}

async function list(given: Given): Promise<void> {
  const users = await withAccounts(given, (facts) => facts.list('account', { kind: 'user' }))
  printList(
    given.form,
    users.map(({ password, ...user }) => ({ ...user, hasPassword: password !== '' })),
    ['name', 'isAdministrator', 'isDisabled', 'hasPassword'],
  )
}

async function add(given: Given): Promise<void> {
  const name = given.names[0]!
  if (!isAccountName(name))
    throw failure('usage', `${JSON.stringify(name)} is no name of an account: ${accountNameForm}`)
  const { password, hashed } = await newPassword(given, name)
  let isHeld = false
  await put(given, 'user.created', async (present, facts) => {
    if (present) throw failure('conflict', `${name} is there already, as ${present.kind}`)
    isHeld = await facts.holds({ namespace: name })
    return { ...newAccount(name, 'user', Date.now()), password: hashed, isAdministrator: given.has('admin') }
  })
  tell(
    `Made ${given.has('admin') ? 'administrator' : 'user'} ${name}${given.has('password-stdin') ? '' : '; the password is:'}`,
  )
  if (!given.has('password-stdin')) print(password)
  if (isHeld) tell(`There are images in the namespace ${name} already: ${name} owns them now`)
}

async function setPassword(given: Given): Promise<void> {
  const { password, hashed } = await newPassword(given, given.names[0]!)
  await change(given, { password: hashed }, 'user.password-changed')
  if (!given.has('password-stdin')) print(password)
}

async function disable(given: Given): Promise<void> {
  await change(given, { isDisabled: true }, 'user.changed', async (facts, user) => {
    if (await isLastAdministrator(facts, user))
      throw failure('conflict', `${user.name} is the only administrator: make another one first`)
  })
  // Or they would be back when the account is.
  const name = given.names[0]!
  await withAccounts(given, async (_facts, vault) => {
    for (const { id } of await vault.list(sessionsOf(name))) await dropSession(vault, name, id)
  })
}

async function change(
  given: Given,
  fields: Partial<Account>,
  action: string,
  expect?: (facts: AccountFacts, user: Account) => Promise<void>,
): Promise<void> {
  const name = given.names[0]!
  await put(given, action, async (present, facts) => {
    if (present?.kind !== 'user') throw failure('notFound', `there is no user ${name}`)
    await expect?.(facts, present)
    return { ...present, ...fields }
  })
  tell(`Changed ${name}`)
}

async function newPassword(given: Given, name: string): Promise<{ password: string; hashed: string }> {
  const isGiven = given.has('password-stdin')
  const password = isGiven ? await readSecret(true, 'Password') : randomBytes(15).toString('base64url')
  const objection = objectionToPassword(password, name)
  if (objection) throw failure('usage', `the password ${objection}`)
  return { password, hashed: await createPasswords().hash(password) }
}

/** Writes an account as it shall be, recorded as done by the operator. */
async function put(
  given: Given,
  action: string,
  make: (present: Account | undefined, facts: AccountFacts) => Promise<Account>,
): Promise<void> {
  const name = given.names[0]!
  await withAccounts(given, async (facts) => {
    for (let attempt = 0; attempt < 10; attempt++) {
      const version = await facts.version()
      const account = await make(await facts.find('account', { name }), facts)
      const entry = { action, actor: '', address: '', target: name, detail: { by: 'holdfast admin' } }
      if (await facts.change(version, [{ table: 'account', put: account }], [entry])) return
    }
    throw failure('later', 'others change accounts at the same time: try again')
  })
}
