import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Row } from './measure.ts'
import { run } from './load.ts'
import { crowds, pulls, pushes } from './scenarios/blobs.ts'
import { dropIn } from './scenarios/drop-in.ts'
import { lists } from './scenarios/lists.ts'
import { manifests } from './scenarios/manifests.ts'
import { start } from './scenarios/start.ts'

// npm run bench [-- --only manifests,pulls] [-- --out FILE]: measures Holdfast and Debian's docker-registry in the same run on
// the same machine. Needs wrk, ab, curl, taskset and docker-registry, and two processors; ten minutes.
const scenarios = { start, manifests, pulls, pushes, lists, crowds, 'drop-in': dropIn }

const { values } = parseArgs({ options: { only: { type: 'string' }, out: { type: 'string' } } })
const names = values.only?.split(',') ?? Object.keys(scenarios)
const rows: Row[] = []
const load = [loadavg()[0]]
for (const name of names) {
  const scenario = scenarios[name as keyof typeof scenarios]
  if (!scenario) throw new Error(`Unknown scenario "${name}": use ${Object.keys(scenarios).join(', ')}`)
  for (const measured of await scenario()) {
    rows.push(measured)
    const { work, unit, holdfast, 'docker-registry': peer, ratio, target, met } = measured
    process.stdout.write(
      `${met ? 'met   ' : 'MISSED'} ${work}: ${holdfast} ${unit}, docker-registry ${peer}; ratio ${ratio}; ${target}\n`,
    )
  }
}
load.push(loadavg()[0])

const out = values.out ?? join(import.meta.dirname, 'results', 'latest.json')
const commit = (await run('git', ['-C', import.meta.dirname, 'rev-parse', '--short', 'HEAD'])).trim()
const peer = (await run('docker-registry', ['--version'])).trim()
await mkdir(join(import.meta.dirname, 'results'), { recursive: true })
const machine = { processor: cpus()[0]?.model, processors: cpus().length, node: process.version, peer, load }
await writeFile(out, `${JSON.stringify({ measuredAt: new Date().toISOString(), commit, machine, rows }, null, 1)}\n`)
await writeFile(out.replace(/\.json$/, '.md'), table(rows))

function table(measured: Row[]): string {
  const lines = measured.map(
    (row) =>
      `| ${row.work} | ${row.unit} | ${row.holdfast ?? '–'} | ${row['docker-registry'] ?? '–'} | ${row.ratio ?? '–'} | ${row.target} | ${row.met ? 'met' : 'missed'} |`,
  )
  return [
    '| work | unit | Holdfast | docker-registry | ratio | target | |',
    '|---|---|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n')
}
