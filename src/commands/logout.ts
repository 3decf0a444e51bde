import { forgetCredentials } from './client/credentials.ts'
import { tell } from './client/output.ts'
import { ask, registryOf } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast logout HOST

Forgets the credentials for a registry, and revokes the access token that "holdfast login" made.
${commonUsage}`

/** `holdfast logout`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { '': { names: 1, run: logout } } }, args)
}

async function logout({ names: [host] }: Given): Promise<void> {
  const registry = registryOf(host)
  const me = await ask<{ token?: { id: string; name: string } }>(registry, 'GET', '/me').catch(() => undefined)
  // One that the user made elsewhere is theirs.
  if (me?.token?.name.startsWith('login from '))
    await ask(registry, 'DELETE', `/tokens/${me.token.id}`).catch((error: Error) =>
      tell(`not revoked: ${error.message}`),
    )
  forgetCredentials(registry.host)
  tell(`Signed out of ${registry.host}`)
}
