import { hostname } from 'node:os'
import { print } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast get-login-password

Prints a password for docker that is good for twelve hours, beside any user name:

  holdfast get-login-password | docker login -u AWS --password-stdin HOST
${commonUsage}`

const lifeMs = 12 * 60 * 60_000
const usualScopes = ['repo:read', 'repo:write', 'repo:delete']

/** `holdfast get-login-password`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { '': { names: 0, run: getLoginPassword } } }, args)
}

interface Me {
  token?: { scopes: string[]; repositories: string[]; expiresAt: string | null }
}

/** An access token for what the login may do to repositories, no longer than the login itself is good. */
async function getLoginPassword({ registry }: Given): Promise<void> {
  const { token } = await ask<Me>(registry(), 'GET', '/me')
  const scopes = token ? usualScopes.filter((scope) => token.scopes.includes(scope)) : usualScopes
  const ends = Math.min(Date.now() + lifeMs, token?.expiresAt ? Date.parse(token.expiresAt) : Infinity)
  const body = {
    name: `password from ${hostname()}`,
    scopes,
    repositories: token?.repositories ?? [],
    expiresAt: new Date(ends).toISOString(),
  }
  print((await ask<{ secret: string }>(registry(), 'POST', '/tokens', { body })).secret)
}
