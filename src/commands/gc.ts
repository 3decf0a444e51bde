import { lineOf } from '../collection/kept.ts'
import { printOne, tell } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast admin gc [--dry-run] [--force] [--untagged]

Has a registry collect now what nothing refers to and whose grace is over; files go some seconds later. Ends with 1 when it
stopped because too much would go.

  --dry-run             only tell what would go
  --force               also when more would go than holdfast.gc.fuse allows
  --untagged            also manifests that no tag, index or subject keeps; they go to the trash
${commonUsage}`

/** `holdfast admin gc`. */
export async function run(args: string[]): Promise<void> {
  const on = { type: 'boolean' } as const
  await runVerb(
    { usage, options: { 'dry-run': on, force: on, untagged: on }, verbs: { '': { names: 0, run: collect } } },
    args,
  )
}

type Report = Record<string, unknown> & { kept?: Parameters<typeof lineOf>[0][] }

async function collect({ registry, has, form }: Given): Promise<void> {
  const body = { kind: 'gc', dryRun: has('dry-run'), force: has('force'), ...(has('untagged') && { untagged: true }) }
  const { objection, kept = [], ...report } = await ask<Report>(registry(), 'POST', '/jobs', { body })
  printOne(form, { ...report, ...(form === 'json' && { objection, kept }) }, 'state')
  for (const one of kept) tell(lineOf(one))
  if (objection) tell(String(objection))
  if (report.state === 'stopped' || report.state === 'failed') process.exitCode = 1
}
