import { printList, printOne } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast admin usage [ORG|REPO]

Tells how many bytes are stored, each blob once, of all, of each organization and of each repository; "sizeExclusive" is what no
other repository holds.
${commonUsage}`

interface Report {
  sizeStored: number
  organizations: Record<string, unknown>[]
  repositories: Record<string, unknown>[]
}

/** `holdfast admin usage`. */
export async function run(args: string[]): Promise<void> {
  const isWithin = args[0] !== undefined && !args[0].startsWith('-')
  const [within, rest] = isWithin ? [args[0], args.slice(1)] : [undefined, args]
  const verbs = { '': { names: 0, run: (given: Given) => show(given, within) } }
  await runVerb({ usage, verbs }, rest)
}

async function show({ registry, form }: Given, within: string | undefined): Promise<void> {
  const query = within === undefined ? '' : `?within=${encodeURIComponent(within)}`
  const report = await ask<Report & Record<string, unknown>>(registry(), 'GET', `/usage${query}`)
  if (form === 'json') return printOne(form, report)
  const all = within === undefined ? [{ name: 'all', sizeStored: report.sizeStored }] : []
  const rows = [...all, ...report.organizations, ...report.repositories]
  printList(form, rows, ['name', 'sizeStored', 'sizeExclusive'])
}
