import { printOne } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast explain ID

Tells why a request was refused: by which rule, as whom, and what would help. ID is the X-Request-Id of the answer. For a day
it is told to who asked, to owners of the namespace and to administrators.
${commonUsage}`

/** `holdfast explain`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { '': { names: 1, run: explain } } }, args)
}

async function explain({ names: [id], registry, form }: Given): Promise<void> {
  printOne(form, await ask(registry(), 'GET', `/refusals/${encodeURIComponent(id!)}`), 'rule')
}
