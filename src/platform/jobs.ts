import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { Log } from './log.ts'

/** Work that happens later and again, on one node at a time. It must bear being run twice. */
export interface Job {
  name: string
  everySeconds: number
  run(signal: AbortSignal): Promise<void>
}

/** A node that dies is taken over from after this; one that works goes on saying so. */
const leaseSeconds = 60
const lookMs = 30_000

interface Deps {
  metadata: Pick<MetadataStore, 'jobs'>
  /** The name of this node. */
  node: string
  log: Log
}

/** Runs jobs when they are due; who runs one is a leased row in the database, so a node that dies is taken over from. */
export function createJobs(jobs: Job[], { metadata, node, log }: Deps) {
  const stopping = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function runDue(): Promise<void> {
    for (const job of jobs) {
      if (stopping.signal.aborted || !(await claim(job))) continue
      const holding = setInterval(() => void claim(job).catch(() => {}), (leaseSeconds * 1000) / 3)
      try {
        await job.run(stopping.signal)
      } catch (error) {
        log.error('job.failed', { job: job.name, error: String(error) })
      }
      clearInterval(holding)
      await metadata.jobs.release(job.name, node, job.everySeconds)
    }
  }
  const claim = (job: Job) => metadata.jobs.claim(job.name, node, leaseSeconds)
  function look(): void {
    running = running.then(runDue).catch((error: unknown) => log.error('jobs.failed', { error: String(error) }))
  }

  const timer = setInterval(look, lookMs).unref()
  return {
    /** Looks for due jobs now. */
    async look(): Promise<void> {
      look()
      await running
    },
    async stop(): Promise<void> {
      clearInterval(timer)
      stopping.abort()
      await running
    },
  }
}
