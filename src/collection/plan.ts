import type { Amount, CollectionFacts } from '../metadata/collection-facts.ts'
import type { Limits } from './limits.ts'

/** What a run would do. */
export interface Plan {
  /** Manifests that would go into the trash; not counted beyond some thousands. */
  untagged: number
  /** What leaves the trash, with the blobs that only that refers to. */
  trash: Amount
  /** Blobs that nothing refers to. */
  garbage: Amount
  /** Bytes that nobody holds already: they are deleted in any case. */
  doomed: Amount
  /** Why a run would stop; undefined when it would not. */
  objection: string | undefined
}

/** Below that what would go is no sign of a mistake, even if it is everything. */
const small = { manifests: 100, count: 1000, bytes: 1 << 30 }
const mostLoose = 10_000

/** Looks what a run would take, and whether that is so much that somebody should be asked. */
export async function makePlan(
  facts: CollectionFacts,
  { doubted, trashed, pulled }: Limits,
  { untagged, fusePercent }: { untagged: boolean; fusePercent: number },
): Promise<Plan> {
  const [garbage, trash, doomed] = await Promise.all([facts.garbage(doubted), facts.trash(trashed), facts.doomed()])
  const loose = untagged ? await facts.countLoose({ before: doubted, pulledSince: pulled, limit: mostLoose }) : 0
  const objection = (await isTooMuch()) && objectionTo(fusePercent)
  return { untagged: loose, trash, garbage, doomed, objection: objection || undefined }

  /** Never asks how much there is in all, where less says enough: a run costs as much as it takes away. */
  async function isTooMuch(): Promise<boolean> {
    if (fusePercent >= 100) return false
    const whole = (part: number) =>
      fusePercent === 0 ? Number.MAX_SAFE_INTEGER : Math.ceil((100 * part) / fusePercent)
    if (loose > small.manifests && (await facts.countManifests(whole(loose))) < whole(loose)) return true
    const [count, bytes] = [garbage.count + trash.count, garbage.bytes + trash.bytes]
    if (count <= small.count && bytes <= small.bytes) return false
    const some = await facts.stored(whole(count))
    if (count > small.count && some.count < whole(count)) return true
    if (bytes <= small.bytes || some.bytes >= whole(bytes)) return false
    return (await facts.stored(Number.MAX_SAFE_INTEGER)).bytes < whole(bytes)
  }
}

function objectionTo(percent: number): string {
  return `more than ${percent} % of all content would go at once (holdfast.gc.fuse): look at "holdfast admin gc --dry-run", and if that is meant, run "holdfast admin gc --force"`
}
