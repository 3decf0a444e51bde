import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Row } from './measure.ts'
import { run } from './load.ts'
import { crowds, pulls, pushes } from './scenarios/blobs.ts'
import { dropIn } from './scenarios/drop-in.ts'
import { collection } from './scenarios/gc.ts'
import { lists } from './scenarios/lists.ts'
import { databases, nodes } from './scenarios/nodes.ts'
import { objectLists, objectPulls, objectPushes, objectTakeover } from './scenarios/objects.ts'
import { manifests } from './scenarios/manifests.ts'
import { processes } from './scenarios/processes.ts'
import { signIn } from './scenarios/sign-in.ts'
import { start } from './scenarios/start.ts'

// npm run bench [-- --only manifests,pulls] [-- --out FILE [--add]]: measures Holdfast and Debian's docker-registry in the same run on
// the same machine. Needs wrk, ab, curl, taskset and docker-registry, and two processors; ten minutes.
const usual = { start, manifests, pulls, pushes, lists, crowds, 'drop-in': dropIn, 'sign-in': signIn }
/** They also need versitygw, postgres and nginx, and are run when they are named. */
const named = {
  'object-pushes': objectPushes,
  'object-pulls': objectPulls,
  'object-lists': objectLists,
  'object-takeover': objectTakeover,
  gc: collection,
  databases,
  nodes,
  processes,
}
const scenarios = { ...usual, ...named }

const { values } = parseArgs({
  options: { only: { type: 'string' }, out: { type: 'string' }, add: { type: 'boolean' } },
})
const names = values.only?.split(',') ?? Object.keys(usual)
const out = values.out ?? join(import.meta.dirname, 'results', 'latest.json')
const before = values.add && existsSync(out) ? (JSON.parse(await readFile(out, 'utf8')) as { rows: Row[] }).rows : []
const rows: Row[] = []
const load = [loadavg()[0]]
for (const name of names) {
  const scenario = scenarios[name as keyof typeof scenarios]
  if (!scenario) throw new Error(`Unknown scenario "${name}": use ${Object.keys(scenarios).join(', ')}`)
  for (const measured of await scenario()) {
    rows.push(measured)
    const { work, unit, sides, figures, ratio, target, met } = measured
    const [ours, theirs] = sides.map((side, i) => `${side} ${figures[i]}`)
    process.stdout.write(
      `${met ? 'met   ' : 'MISSED'} ${work}, ${unit}: ${ours}, ${theirs}; ratio ${ratio}; ${target}\n`,
    )
  }
  await save()
}

/** After each scenario: what is measured is not lost when the next one fails. */
async function save(): Promise<void> {
  const commit = (await run('git', ['-C', import.meta.dirname, 'rev-parse', '--short', 'HEAD'])).trim()
  const peer = (await run('docker-registry', ['--version'])).trim()
  await mkdir(join(import.meta.dirname, 'results'), { recursive: true })
  load[1] = loadavg()[0]
  const machine = { processor: cpus()[0]?.model, processors: cpus().length, node: process.version, peer, load }
  const all = [...kept(), ...rows]
  const results = { measuredAt: new Date().toISOString(), commit, machine, rows: all }
  await writeFile(out, `${JSON.stringify(results, null, 1)}\n`)
  await writeFile(out.replace(/\.json$/, '.md'), table(all))
}

/** What the file had of other work; its moment and commit stand in git. */
function kept(): Row[] {
  const nameOf = ({ work, unit, sides }: Row) => [work, unit, ...sides].join()
  const present = new Set(rows.map(nameOf))
  return before.filter((row) => !present.has(nameOf(row)))
}

/** A table for each pair of sides, in the order in which they came. */
function table(measured: Row[]): string {
  const pairs = Map.groupBy(measured, ({ sides }) => sides.join(' | '))
  return [...pairs].map(([sides, ofPair]) => tableOf(sides, ofPair)).join('\n')
}

function tableOf(sides: string, measured: Row[]): string {
  const lines = measured.map(({ work, unit, figures, ratio, target, met }) => {
    const cells = [work, unit, ...figures.map((figure) => figure ?? '–'), ratio ?? '–', target]
    return `| ${cells.join(' | ')} | ${target === '–' ? '' : met ? 'met' : 'missed'} |`
  })
  return [`| work | unit | ${sides} | ratio | target | |`, '|---|---|---|---|---|---|---|', ...lines, ''].join('\n')
}
