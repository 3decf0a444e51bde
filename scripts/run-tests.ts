// run-tests.ts [FILE …]: runs these test files, by default all, and reports them as one run.
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

type TestEvent = { type: string; data: Record<string, unknown> }

const root = join(import.meta.dirname, '..')
const everything = ['src', 'tools', 'test'].flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: root }))
const named = process.argv.slice(2).map((file) => relative(root, file))
const files = (named.length > 0 ? named : everything).toSorted()
// A test that takes longer fails, and its file ends whatever still runs in it.
const timeout = 10 * 60_000
const isClient = (file: string) => file.startsWith(join('test', 'clients'))

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

Readable.from(oneRun()).pipe(new spec()).pipe(process.stdout)

/** The events of all groups of files, with the end of each held back: totals added up, then what failed. */
async function* oneRun(): AsyncGenerator<TestEvent> {
  const groups = [
    { files: files.filter((file) => !isClient(file)), concurrency: availableParallelism() },
    { files: files.filter(isClient), concurrency: 1 }, // each starts daemons of its own
  ]
  const totals = new Map<string, number>()
  const skips: string[] = []
  const ends: TestEvent[] = []
  for (const group of groups.filter((group) => group.files.length > 0)) {
    const options = { cwd: root, timeout, execArgv: ['--test-force-exit'], signal: stop.signal }
    const events = run({ ...group, ...options }) as AsyncIterable<TestEvent>
    for await (const event of events) {
      const total = totalOf(event)
      if (total) totals.set(total.name, (totals.get(total.name) ?? 0) + total.value)
      else if (event.type === 'test:summary' && event.data.file === undefined) ends.push(event)
      else yield event
      if (event.type === 'test:pass' && typeof event.data.skip === 'string')
        skips.push(`${String(event.data.name)} # ${event.data.skip}`)
    }
  }
  for (const skip of skips) yield diagnostic(`skipped: ${skip}`)
  for (const [name, value] of totals) yield diagnostic(`${name} ${value}`)
  const failed = ends.find(({ data }) => data.success === false)
  if (failed) yield failed
  if (failed || !totals.get('tests')) process.exitCode = 1
}

function totalOf({ type, data }: TestEvent): { name: string; value: number } | undefined {
  if (type !== 'test:diagnostic' || data.nesting !== 0) return undefined
  const match = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/.exec(String(data.message))
  return match ? { name: match[1]!, value: Number(match[2]) } : undefined
}

function diagnostic(message: string): TestEvent {
  return { type: 'test:diagnostic', data: { nesting: 0, message } }
}
