import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCollected } from './collected.ts'
import { runCuts, runKills } from './crashes.ts'
import { runFullDisk } from './full-disk.ts'
import { runStops } from './graceful-stop.ts'
import { runMemory } from './memory.ts'
import { unable } from './mounts.ts'
import { runSweep } from './sweep.ts'

// The long form of the durability tests: `npm run durability -- [--only kill,power,…] [--kills N] [--cuts N] …`.

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    kills: { type: 'string', default: '1000' },
    cuts: { type: 'string', default: '100' },
    lives: { type: 'string', default: '200' },
    stops: { type: 'string', default: '30' },
    disks: { type: 'string', default: '10' },
    /** Points of one kind of call in the sweep, where there are more. */
    points: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seed = Number(values.seed)
const say = (line: string) => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
const git = (...args: string[]) =>
  spawnSync('git', args, { cwd: import.meta.dirname })
    .stdout.toString()
    .trim()

type Progress = (soFar: object) => void

const forms: Record<string, { programs: string[]; run(progress: Progress): Promise<object> }> = {
  kill: {
    programs: [],
    run: (progress) => runKills({ trials: Number(values.kills), pushes: 50, seed, progress }),
  },
  power: {
    programs: ['perl', 'mkfs.ext4', 'mount'],
    run: (progress) => runCuts({ trials: Number(values.cuts), pushes: 20, seed, progress }),
  },
  control: {
    programs: ['perl', 'mkfs.ext4', 'mount', 'strace'],
    run: (progress) => runCuts({ trials: 5, pushes: 20, seed, ignoringSyncs: true, progress }),
  },
  sweep: {
    programs: ['strace'],
    run: (progress) =>
      runSweep({ faults: ['SIGKILL', 'ENOSPC', 'EIO', 'ENOSPC+'], perCall: Number(values.points), progress }),
  },
  full: {
    programs: ['mount'],
    async run(progress) {
      const runs: object[] = []
      for (let run = 0; run < Number(values.disks); run++) {
        runs.push(await runFullDisk({ seed: seed + run }))
        progress({ runs })
      }
      return { runs }
    },
  },
  collected: {
    programs: [],
    run: (progress) => runCollected({ trials: Number(values.lives), seed, progress }),
  },
  memory: { programs: [], run: () => runMemory() },
  stop: { programs: [], run: (progress) => runStops({ trials: Number(values.stops), progress }) },
}

const chosen = values.only?.split(',') ?? Object.keys(forms)
const folder = join(import.meta.dirname, 'results')
mkdirSync(folder, { recursive: true })
for (const name of chosen) {
  const form = forms[name]
  if (!form) throw new Error(`Cannot run ${name}: expected ${Object.keys(forms).join(', ')}`)
  const obstacle = unable(...form.programs)
  if (obstacle) {
    say(`${name}: left out, ${obstacle}`)
    continue
  }
  say(`${name} begins`)
  const begun = Date.now()
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', ':/', ':!results') !== ''
  const version = git('rev-parse', '--short=12', 'HEAD') + (changed ? '-dirty' : '')
  const save = (result: object) => {
    const seconds = Math.round((Date.now() - begun) / 1000)
    const at = new Date(begun).toISOString()
    const short = 'details' in result ? { ...result, details: (result.details as string[]).slice(0, 20) } : result
    const report = { name, version, at, seconds, node: process.version, seed, ...short }
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(report, undefined, 2)}\n`)
    return seconds
  }
  // Saved on the way too: a run that is stopped leaves what it did.
  const result = await form.run((soFar) => {
    say(`${name}: ${JSON.stringify(soFar)}`)
    save(soFar)
  })
  say(`${name} ended after ${save(result)} s: ${JSON.stringify(result)}`)
}
