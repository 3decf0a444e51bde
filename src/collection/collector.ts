import type { Configuration } from '../config/configuration.ts'
import { findKept } from './kept.ts'
import { type Limits, limitsAt, pressedLimitsAt } from './limits.ts'
import { makePlan } from './plan.ts'
import { createSteps, type Done, type RunDeps } from './steps.ts'
import { prefixes, sweepFiles } from './sweep.ts'

interface Deps extends RunDeps {
  configuration: Pick<Configuration, 'collection' | 'trash'>
  clock: { now(): Date }
  /** Whether clients may push meanwhile. */
  isServing: boolean
}

export interface RunOptions {
  /** Goes on where the fuse would stop. */
  force?: boolean
  /** Also collects untagged manifests, as the configuration may say anyway. */
  untagged?: boolean
  /** So many bytes shall be freed: then what is in the trash goes before its time, the oldest first. */
  lacking?: number
  /** Also looks at every file for those nothing is known of. */
  sweep?: boolean
}

/** Finds what nothing needs, and takes it away in small steps beside whatever else goes on. */
export function createCollector(deps: Deps) {
  const { facts, log, configuration, clock, isServing } = deps
  const now = () => clock.now().getTime()
  const limits = () => limitsAt(now(), configuration, isServing)

  const plan = (untagged = configuration.collection.untagged) =>
    makePlan(facts, limits(), { untagged, fusePercent: configuration.collection.fusePercent })

  /** What is kept for a while that nothing needs. */
  const kept = (untagged = configuration.collection.untagged) => findKept(facts, limits(), { now: now(), untagged })

  /** Does what there is to do. @throws what `breathe` throws, and errors of storage and database; the next run goes on */
  async function run({
    force = false,
    sweep = false,
    lacking = 0,
    untagged = configuration.collection.untagged,
  }: RunOptions = {}): Promise<Done & { objection?: string }> {
    const done = nothing()
    const steps = createSteps(deps, done)
    await prepare(steps)
    const { objection } = await plan(untagged)
    if (objection && !force) {
      log.error('gc.stopped', { message: objection })
      return { ...done, objection }
    }
    if (sweep) for (const prefix of prefixes) done.strays += await sweepFiles(prefix, limits().files, deps)
    if (untagged) await trashAll(steps.trashLoose, done)
    await steps.emptyTrash(limits())
    const present = limits()
    await steps.judge(present)
    if (lacking > 0) await shrinkTrash(steps, lacking, done)
    await steps.condemn(present)
    await steps.deleteFiles(limits())
    return done
  }

  /** An index that goes lets its children go, and they what refers to them: as long as that goes on. */
  async function trashAll(once: (limits: Limits) => Promise<void>, done: Done): Promise<void> {
    for (let before = -1; before < done.untagged;) {
      before = done.untagged
      await once(limits())
    }
  }

  /** Ends the grace of what nothing refers to, and then what is in the trash, until enough goes. */
  async function shrinkTrash(steps: ReturnType<typeof createSteps>, lacking: number, done: Done): Promise<void> {
    const before = done.manifests
    const pressed = pressedLimitsAt(limits(), now())
    await steps.judge(pressed)
    for (let isMore = true; isMore && (await facts.doomed()).bytes < lacking; await deps.breathe()) {
      isMore = await steps.endOldest(pressed, 1)
      await steps.judge(pressed)
    }
    done.early = done.manifests - before
    if (done.early > 0)
      log.warn('trash.shrunk', {
        ...{ manifests: done.early, lackingBytes: lacking },
        message: 'the disk is nearly full: the oldest of what was deleted cannot be restored any more',
      })
  }

  /** What has to be known before anything can be judged. */
  async function prepare(steps = createSteps(deps, nothing())): Promise<void> {
    await steps.readManifests()
    await steps.beginDoubts()
  }

  return {
    plan,
    kept,
    prepare: () => prepare(),
    run,
    sweepPrefix: (prefix: string) => sweepFiles(prefix, limits().files, deps),
  }
}

const nothing = (): Done => ({
  untagged: 0,
  manifests: 0,
  early: 0,
  unlinked: 0,
  blobs: 0,
  bytes: 0,
  strays: 0,
  files: 0,
  waiting: [],
})
