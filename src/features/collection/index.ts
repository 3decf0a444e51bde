import { setTimeout } from 'node:timers/promises'
import { createAlert } from '../alert.ts'
import { createAsked } from '../asked.ts'
import { inBackground, unlessAborted } from '../background.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createPulls } from './pulls.ts'
import { createCollector, type RunOptions } from '../../collection/collector.ts'
import { createDisk } from '../../platform/disk.ts'
import { prefixes } from '../../collection/sweep.ts'

const everyMs = 60_000
/** So soon a run begins that somebody asked for. */
const lookMs = 1000
/** Between two steps of a run: requests come first. */
const pauseMs = 5
/** So long after a run what it found may be deleted; and between two because the disk is nearly full. */
const settledMs = 12_000
/** A deletion whose process has gone is done again after this. */
const abandonedMs = 60_000
const day = 86_400_000

/** Takes away what nothing refers to any more: see docs/collection.md. One process of all does it, beside the tree of links. */
export function collection(platform: Platform, { metrics }: Pick<Serving, 'metrics'>): Feature {
  const { configuration, storage, collection: facts, volume, clock, log } = platform
  const isRemote = configuration.storage.objects !== undefined
  const isAlone = configuration.databaseUrl === undefined
  const count = metrics && {
    runs: metrics.counter('holdfast_gc_runs_total', 'Runs of the garbage collection', ['outcome']),
    blobs: metrics.counter('holdfast_gc_blobs_total', 'Blobs that were collected'),
    bytes: metrics.counter('holdfast_gc_bytes_total', 'Bytes of blobs that were collected'),
    early: metrics.counter(
      'holdfast_trash_shrunk_manifests_total',
      'Manifests that left the trash before their time, because the disk was nearly full',
    ),
    manifests: metrics.counter('holdfast_gc_manifests_total', 'Manifests that left the trash'),
  }
  const { reserve, root } = configuration.storage
  const disk = isRemote || reserve.bytes === 0 ? undefined : createDisk(root, reserve)
  const asked = createAsked<RunOptions>({ vault: platform.vault, clock, kind: 'collection' })
  const pulls = createPulls({ facts, log })
  const alert = createAlert(platform)
  let stopping = new AbortController().signal
  let swept = clock.now().getTime()

  const collector = createCollector({
    facts,
    storage,
    log,
    configuration,
    clock,
    follow: configuration.storage.followTree,
    isServing: true,
    breathe: () => setTimeout(pauseMs, undefined, { signal: stopping }),
  })

  async function work(signal: AbortSignal): Promise<void> {
    stopping = signal
    if (isAlone) await facts.resume(clock.now().getTime()) // whoever deleted them has ended
    // Until everything is known that the volume holds, what refers to a blob may be unknown.
    if (!(await unlessAborted(signal, volume.passed()))) {
      if (!signal.aborted)
        log.warn('gc.off', { message: 'the volume could not be read whole: holdfast fsck says more' })
      return
    }
    for (let [due, pressedAt] = [0, -Infinity]; !signal.aborted;) {
      const wanted = await asked.next()
      const lacking = Math.max(disk?.lacking() ?? 0, wanted?.lacking ?? 0)
      const isPressed = lacking > 0 && performance.now() >= pressedAt + settledMs
      if (isPressed) pressedAt = performance.now()
      if (wanted || isPressed || performance.now() >= due) {
        const result = await runOnce({ ...wanted, lacking })
        if (wanted) await asked.answer({ id: wanted.id, ...result })
        // The files of what it condemned go as soon as that has settled.
        due = performance.now() + (Number(result.blobs) > 0 ? settledMs : everyMs)
      }
      await setTimeout(lookMs, undefined, { signal, ref: false })
    }
  }

  async function runOnce(options?: RunOptions & { id?: string }): Promise<Record<string, unknown>> {
    try {
      await pulls.flush()
      if (!isAlone) await facts.resume(clock.now().getTime() - abandonedMs)
      const { objection, ...done } = await collector.run(options)
      await sweep()
      if (objection) await alert('gc.stopped', { message: objection })
      count?.runs([objection ? 'stopped' : 'done'])
      count?.blobs([], done.blobs)
      count?.bytes([], done.bytes)
      count?.manifests([], done.manifests)
      count?.early([], done.early)
      if (done.early > 0)
        await alert('trash.shrunk', { manifests: done.early, bytes: done.bytes, lacking: options?.lacking })
      if (done.untagged + done.blobs + done.manifests + done.unlinked + done.files > 0)
        log.info('gc.collected', { ...done })
      const kept = options?.id === undefined ? {} : { kept: await collector.kept(options.untagged) }
      return { state: objection ? 'stopped' : 'done', ...done, ...(objection && { objection }), ...kept }
    } catch (error) {
      if (stopping.aborted) throw error
      count?.runs(['failed'])
      log.error('gc.failed', { error: String(error) })
      return { state: 'failed', error: 'the log of the registry says why' }
    }
  }

  /** Looks once a day at every file; in an object store a list costs. */
  async function sweep(): Promise<void> {
    if (isRemote) return
    const now = clock.now().getTime()
    const placeOf = (moment: number) => Math.floor((moment / day) * prefixes.length)
    for (let place = placeOf(Math.max(swept, now - day)); place < placeOf(now); place++) {
      const found = await collector.sweepPrefix(prefixes[place % prefixes.length]!)
      if (found > 0) log.warn('gc.unknown-files', { prefix: prefixes[place % prefixes.length], files: found })
    }
    swept = now
  }

  const duty = inBackground(work, (error) => log.error('gc.failed', { error: String(error) }))
  const isOn = configuration.collection.enabled && !configuration.storage.readOnly
  return {
    name: 'collection',
    ...(isOn && { duty }),
    onManifestPull: pulls.onManifestPull,
    start: pulls.start,
    stop: pulls.stop,
    async api() {
      const { collectionOperations } = await import('./operations.ts')
      return collectionOperations({
        asked,
        plan: collector.plan,
        kept: collector.kept,
        isOn,
        accounts: platform.accounts,
      })
    },
  }
}
