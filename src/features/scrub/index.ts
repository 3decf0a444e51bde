import { setTimeout } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { createAsked } from '../asked.ts'
import { inBackground } from '../background.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createCheck, type Outcome } from './check.ts'

const day = 86_400_000
const everySeconds = 300
const pageSize = 100
/** So soon a run begins that somebody asked for, and so often it says how far it is. */
const lookMs = 1000

/** A run that somebody asked for. */
export interface Wanted {
  /** Only the blobs of this repository. */
  repository?: string | undefined
}

/**
 * Reads every blob once a day and moves aside what is not what its digest says: from then on it is unknown, and a new push
 * stores it again, or a backup. An object store looks after its bytes itself, and every read of them costs: there it is done only
 * when somebody asks. Digests are evenly spread, so the time of day is the place in their order; nothing needs to be remembered.
 */
export function scrub(platform: Platform, { metrics }: Pick<Serving, 'metrics'>): Feature {
  const { configuration, metadata, vault, clock, log } = platform
  const asked = createAsked<Wanted>({ vault, clock, kind: 'scrub' })
  const check = createCheck(platform)
  const count = metrics?.counter('holdfast_scrub_blobs_total', 'Blobs that were read again', ['outcome'])
  let done: number | undefined

  async function run(signal: AbortSignal): Promise<void> {
    const now = clock.now().getTime()
    const from = Math.max(done ?? now - everySeconds * 1000, now - day)
    // A slice that passes midnight goes round the end of the order.
    const [first, last] = [from % day, now % day]
    const slices =
      now - from >= day
        ? [[0, day]]
        : first <= last
          ? [[first, last]]
          : [
              [first, day],
              [0, last],
            ]
    for (const [begin, end] of slices)
      for (const algorithm of ['sha256', 'sha512'])
        await scrubSlice(placeOf(algorithm, begin!), placeOf(algorithm, end!), signal)
    if (!signal.aborted) done = now
  }

  async function scrubSlice(after: string, end: string, signal: AbortSignal): Promise<void> {
    for await (const { digest, size } of blobsAfter(after)) {
      if (signal.aborted || digest > end) return
      await checkOne(digest, size, signal)
    }
  }

  async function* blobsAfter(after: string) {
    for (let last = after; ;) {
      const blobs = await metadata.blobs.list({ last, limit: pageSize })
      yield* blobs
      if (blobs.length < pageSize) return
      last = blobs.at(-1)!.digest
    }
  }

  async function checkOne(digest: Digest, size: number, signal: AbortSignal): Promise<Outcome | 'unreadable'> {
    try {
      const outcome = await check(digest, size, signal)
      count?.([outcome])
      return outcome
    } catch (error) {
      if (signal.aborted) return 'whole'
      log.error('blob.unreadable', { digest, error: String(error) })
      count?.(['unreadable'])
      return 'unreadable'
    }
  }

  /** Reads all, or what one repository has, and says how far it is. */
  async function runAsked({ id, repository }: Wanted & { id: string }, signal: AbortSignal): Promise<void> {
    const report = { id, state: 'running', blobs: 0, bytes: 0, missing: 0, quarantined: 0, repaired: 0, unreadable: 0 }
    let told = performance.now()
    for await (const { digest, size } of blobsAfter('')) {
      signal.throwIfAborted()
      if (repository !== undefined && !(await metadata.blobs.repositoriesOf(digest)).includes(repository)) continue
      const outcome = await checkOne(digest, size, signal)
      report.blobs++
      report.bytes += size
      if (outcome !== 'whole') report[outcome]++
      if (performance.now() - told < lookMs) continue
      told = performance.now()
      await asked.tell(report)
    }
    signal.throwIfAborted() // then what was read last is not known
    log.info('scrub.done', { ...report, state: undefined, repository })
    await asked.answer({ ...report, state: 'done' })
  }

  async function look(signal: AbortSignal): Promise<void> {
    for (; !signal.aborted; await setTimeout(lookMs, undefined, { signal, ref: false })) {
      const wanted = await asked.next()
      if (!wanted) continue
      await runAsked(wanted, signal).catch(async (error: unknown) => {
        if (signal.aborted) return // the next process begins anew
        log.error('scrub.failed', { error: String(error) })
        await asked.answer({ id: wanted.id, state: 'failed', error: 'the log of the registry says why' })
      })
    }
  }

  return {
    name: 'scrub',
    jobs: configuration.storage.objects ? [] : [{ name: 'scrub', everySeconds, run }],
    duty: inBackground(look, (error) => log.error('scrub.failed', { error: String(error) })),
    async api() {
      const { scrubOperations } = await import('./operations.ts')
      return scrubOperations({ asked, accounts: platform.accounts, metadata })
    },
  }
}

/** Where in the order of digests a moment of the day lies. */
function placeOf(algorithm: string, moment: number): string {
  if (moment >= day) return `${algorithm}:g` // after every hexadecimal digit
  return `${algorithm}:${Math.floor((moment / day) * 2 ** 32)
    .toString(16)
    .padStart(8, '0')}`
}
