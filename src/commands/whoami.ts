import { printOne } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast whoami

Tells who you are at a registry, and by which access token.
${commonUsage}`

/** `holdfast whoami`. */
export async function run(args: string[]): Promise<void> {
  const whoami = {
    names: 0,
    run: async ({ registry, form }) => printOne(form, await ask(registry(), 'GET', '/me')),
  } satisfies Parameters<typeof runVerb>[0]['verbs'][string]
  await runVerb({ usage, verbs: { '': whoami } }, args)
}
