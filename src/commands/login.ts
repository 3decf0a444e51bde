import { hostname } from 'node:os'
import { type Credentials, storeCredentials, storeUrl } from './client/credentials.ts'
import { signInByBrowser } from './client/device.ts'
import { failure } from './client/failure.ts'
import { printOne, tell } from './client/output.ts'
import { readName, readSecret } from './client/password.ts'
import { ask, parseUrl, registryOf } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast login HOST [-u NAME] [--password-stdin]

Signs in to a registry, and docker, podman and the others with it: credentials are kept where docker keeps them. For a
password an access token is made, which "holdfast logout" revokes; the password itself is kept nowhere. Without a name
it tells a code for somebody's browser, who signs in there by password or single sign-on and lets this machine in.

  -u, --username NAME   who, by a password that is asked for
  --password-stdin      read the password or access token from standard input
  --expires DAYS        how long the token is good (90; 0: for ever, not by a browser)
${commonUsage}`

/** `holdfast login`. */
export async function run(args: string[]): Promise<void> {
  const options = {
    username: { type: 'string', short: 'u' },
    'password-stdin': { type: 'boolean' },
    expires: { type: 'string' },
  } as const
  await runVerb({ usage, options, verbs: { '': { names: 1, run: login } } }, args)
}

interface Me {
  kind: string
  name: string
  isAdministrator: boolean
}

async function login({ names: [host], text, has, form }: Given): Promise<void> {
  const url = parseUrl(host!)
  const days = text('expires') ?? '90'
  if (!/^\d{1,4}$/.test(days)) throw failure('usage', `--expires ${days}: expected a number of days`)
  const { name, secret } = (await byBrowser()) ?? (await byPassword())
  const registry = registryOf(url, { name, secret })
  const me = await ask<Me>(registry, 'GET', '/me')
  const kept: Credentials = secret.startsWith('holdfast_')
    ? { name: me.name, secret }
    : { name, secret: await makeToken() }
  storeCredentials(registry.host, kept)
  storeUrl(url)
  if (form === 'table') tell(`Signed in to ${registry.host} as ${me.name}`)
  else printOne(form, { ...me })

  /** Where nobody is named; undefined where the registry is too old for it. */
  async function byBrowser(): Promise<Credentials | undefined> {
    if (text('username') !== undefined || has('password-stdin')) return undefined
    const token = await signInByBrowser(url, days)
    return token === undefined ? undefined : { name: 'holdfast', secret: token }
  }

  async function byPassword(): Promise<Credentials> {
    const name = await readName(text('username'), 'User name')
    return { name, secret: await readSecret(has('password-stdin'), 'Password') }
  }

  /** An access token for all that the user may do. */
  async function makeToken(): Promise<string> {
    const scopes = [
      'repo:read',
      'repo:write',
      'repo:delete',
      'repo:admin',
      'org:admin',
      ...(me.isAdministrator ? ['admin'] : []),
    ]
    const body = { name: `login from ${hostname()}`, scopes, expiresInDays: Number(days) }
    return (await ask<{ secret: string }>(registry, 'POST', '/tokens', { body })).secret
  }
}
