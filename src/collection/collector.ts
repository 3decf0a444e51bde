import type { Configuration } from '../config/configuration.ts'
import type { Amount } from '../metadata/collection-facts.ts'
import { type Limits, limitsAt } from './limits.ts'
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
  /** Also looks at every file for those nothing is known of. */
  sweep?: boolean
}

/** What a run would do: what goes at once, what leaves the trash, and what the fuse says to that. */
export interface Plan {
  garbage: Amount
  trash: Amount
  /** Condemned already. */
  doomed: Amount
  stored: Amount | undefined
  /** Why a run would stop; undefined when it would not. */
  objection: string | undefined
}

/** Stores are small below that: what would go is no sign of a mistake. */
const small = { manifests: 100, count: 1000, bytes: 1 << 30 }

/** Finds what nothing needs, and takes it away in small steps beside whatever else goes on. */
export function createCollector(deps: Deps) {
  const { facts, log, configuration, clock, isServing } = deps
  const now = () => clock.now().getTime()
  const limits = () => limitsAt(now(), configuration, isServing)

  async function plan(untagged = configuration.collection.untagged): Promise<Plan> {
    const { doubted, trashed, pulled } = limits()
    const [garbage, trash, doomed] = await Promise.all([facts.garbage(doubted), facts.trash(trashed), facts.doomed()])
    const loose = untagged ? await facts.loose(doubted, small.manifests + 1) : []
    const manifests =
      loose.length > small.manifests ? await facts.manifests({ before: doubted, pulledSince: pulled }) : undefined
    const [count, bytes] = [garbage.count + trash.count, garbage.bytes + trash.bytes]
    // To know how much there is takes as long as there is much: asked only where that decides.
    const stored = count > small.count || bytes > small.bytes ? await facts.stored() : undefined
    const share = Math.max(
      stored ? (100 * count) / stored.count : 0,
      stored ? (100 * bytes) / stored.bytes : 0,
      manifests ? (100 * manifests.loose) / manifests.stored : 0,
    )
    const objection =
      share > configuration.collection.fusePercent
        ? `${Math.min(100, Math.round(share))} % of all content would go, more than holdfast.gc.fuse (${configuration.collection.fusePercent}) allows at once: look at "holdfast admin gc --dry-run", and if that is meant, run "holdfast admin gc --force"`
        : undefined
    return { garbage, trash, doomed, stored, objection }
  }

  /** Does what there is to do. @throws what `breathe` throws, and errors of storage and database; the next run goes on */
  async function run({
    force = false,
    sweep = false,
    untagged = configuration.collection.untagged,
  }: RunOptions = {}): Promise<Done & { objection?: string }> {
    const done: Done = { untagged: 0, manifests: 0, unlinked: 0, blobs: 0, bytes: 0, files: 0, waiting: [] }
    const steps = createSteps(deps, done)
    await steps.readManifests()
    await steps.beginDoubts()
    const { objection } = await plan(untagged)
    if (objection && !force) {
      log.error('gc.stopped', { message: objection })
      return { ...done, objection }
    }
    if (sweep) for (const prefix of prefixes) await sweepFiles(prefix, limits().files, deps)
    if (untagged) await trashAll(steps.trashLoose, done)
    await steps.emptyTrash(limits())
    const present = limits()
    await steps.judge(present)
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

  return { plan, run, sweepPrefix: (prefix: string) => sweepFiles(prefix, limits().files, deps) }
}
