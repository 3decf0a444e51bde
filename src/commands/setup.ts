import { printOne } from './client/output.ts'
import { readName, readSecret } from './client/password.ts'
import { ask, registryOf } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast setup HOST CODE [-u NAME] [--password-stdin]

Makes the first administrator of a registry, with the code that its log told at the start.
${commonUsage}`

/** `holdfast setup`. */
export async function run(args: string[]): Promise<void> {
  const options = { username: { type: 'string', short: 'u' }, 'password-stdin': { type: 'boolean' } } as const
  await runVerb({ usage, options, verbs: { '': { names: 2, run: setup } } }, args)
}

async function setup({ names: [host, code], text, has, form }: Given): Promise<void> {
  const name = await readName(text('username'), 'Name of the administrator')
  const password = await readSecret(has('password-stdin'), 'Password')
  const registry = { ...registryOf(host), authorization: undefined }
  printOne(form, await ask(registry, 'POST', '/setup', { body: { code, name, password } }))
}
