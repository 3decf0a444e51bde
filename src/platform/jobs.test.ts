import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { createSqliteStore } from '../metadata/sqlite/store.ts'
import { createJobs, type Job } from './jobs.ts'
import { createLog } from './log.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-jobs-'))
let time = Date.UTC(2030, 0, 1)
const metadata = createSqliteStore({ folder, clock: { now: () => new Date(time) } })
after(async () => {
  await metadata.close()
  await rm(folder, { recursive: true })
})
let logged = ''
const log = createLog('info', (line) => (logged += line), { now: () => new Date(0) })

/** Jobs that end with the test and count how often they ran. */
let nodes = 0
function start(...jobs: Job[]) {
  return createJobs(jobs, { metadata, node: `node ${++nodes}`, log })
}
function counting(name: string, work: (signal: AbortSignal) => Promise<void> = async () => undefined) {
  const job = { name, everySeconds: 60, runs: 0, run: (signal: AbortSignal) => (job.runs++, work(signal)) }
  return job
}

describe('jobs', () => {
  beforeEach(() => {
    logged = ''
  })

  it('run at the first look and again when their time has passed', async () => {
    const job = counting('again')
    const { look, stop } = start(job)
    await look()
    await look()
    assert.equal(job.runs, 1)
    time += 59_000
    await look()
    assert.equal(job.runs, 1)
    time += 1000
    await look()
    assert.equal(job.runs, 2)
    await stop()
  })

  it('run on one node at a time', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const [here, there] = [counting('shared', () => promise), counting('shared')]
    const nodes = [start(here), start(there)]
    const looking = nodes[0]!.look()
    await nodes[1]!.look()
    resolve()
    await looking
    assert.deepEqual([here.runs, there.runs], [1, 0])
    await Promise.all(nodes.map((node) => node.stop()))
  })

  it('that fail are reported, run again later, and keep no other from running', async () => {
    const [failing, next] = [counting('failing', () => Promise.reject(new Error('no luck'))), counting('next')]
    const { look, stop } = start(failing, next)
    await look()
    assert.match(logged, /error job.failed job=failing error="Error: no luck"/)
    assert.equal(next.runs, 1)
    time += 60_000
    await look()
    assert.equal(failing.runs, 2)
    await stop()
  })

  it('are told to stop, and waited for', async () => {
    let ended = false
    const job = counting('long', async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      ended = true
    })
    const later = counting('later')
    const { look, stop } = start(job, later)
    void look()
    while (job.runs === 0) await new Promise((resolve) => setImmediate(resolve))
    await stop()
    assert.ok(ended)
    assert.equal(later.runs, 0)
  })
})
