import { setTimeout } from 'node:timers/promises'
import { printOne, tell } from './client/output.ts'
import { ask } from './client/registry.ts'
import { commonUsage, type Given, runVerb } from './client/verbs.ts'

const usage = `Usage: holdfast admin scrub [REPO]

Has a registry read all its blobs again now, or those of a repository, and waits for it. What is damaged is moved aside, and mended from
the backup that holdfast.scrub.repairfrom names; what is not is named in the registry's log. Ends with 1 when something is
missing or damaged and stays so.
${commonUsage}`

const lookMs = 500
const tellMs = 5000

type Report = Record<string, unknown> & { id: string; state: string }

/** `holdfast admin scrub`. */
export async function run(args: string[]): Promise<void> {
  await runVerb({ usage, verbs: { '': { names: [0, 1], run: scrub } } }, args)
}

async function scrub({ registry, names: [repository], form }: Given): Promise<void> {
  const body = repository === undefined ? {} : { repository }
  let report = await ask<Report>(registry(), 'POST', '/scrubs', { body })
  for (let told = performance.now(); !['done', 'failed'].includes(report.state); await setTimeout(lookMs)) {
    report = await ask<Report>(registry(), 'GET', `/scrubs/${report.id}`)
    if (report.state !== 'running' || performance.now() - told < tellMs) continue
    told = performance.now()
    tell(`${String(report.blobs)} blobs read`)
  }
  printOne(form, report, 'state')
  const bad = ['missing', 'quarantined', 'unreadable'].some((name) => Number(report[name]) > 0)
  if (bad || report.state === 'failed') process.exitCode = 1
}
