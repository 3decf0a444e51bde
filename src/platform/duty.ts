import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { Log } from './log.ts'

interface Deps {
  /** A job by this name says who has it. */
  name: string
  /** The name of this node. */
  node: string
  metadata: Pick<MetadataStore, 'jobs'>
  log: Log
  begin(): Promise<void>
  end(): Promise<void>
}

const leaseMs = 30_000
const lookMs = 5000

/**
 * What goes on all the time on one node of all: it begins where it is taken on, and begins elsewhere when that node stops, or is
 * gone for longer than the lease. For a moment two may think it theirs, so what they do has to bear that.
 */
export function createDuty({ name, node, metadata, log, begin, end }: Deps) {
  let isOurs = false
  let heldUntil = 0
  let looking: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    const asked = performance.now()
    try {
      if (await metadata.jobs.claim(name, node, leaseMs / 1000)) heldUntil = asked + leaseMs
      else heldUntil = 0
    } catch {
      // The database is away. Nobody else can take it on either; when the lease has ended it is anybody's.
    }
    const isHeld = performance.now() < heldUntil
    if (isHeld === isOurs) return
    isOurs = isHeld
    log.info(isOurs ? 'duty.begun' : 'duty.ended', { duty: name, node })
    await (isOurs ? begin() : end())
  }
  function soon(): Promise<void> {
    return (looking = looking.then(look).catch((error: unknown) => log.error('duty.failed', { error: String(error) })))
  }

  return {
    async start(): Promise<void> {
      timer = setInterval(() => void soon(), lookMs).unref()
      await soon()
    },
    async stop(): Promise<void> {
      clearInterval(timer)
      await looking
      if (!isOurs) return
      isOurs = false
      await end()
      await metadata.jobs.release(name, node, 0).catch(() => {}) // then another waits for the end of the lease
    },
  }
}
