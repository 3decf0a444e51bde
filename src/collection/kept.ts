import type { CollectionFacts } from '../metadata/collection-facts.ts'
import type { Limits } from './limits.ts'

/** What nothing needs and a run leaves all the same. */
export interface Kept {
  what: string
  count: number
  /** When the first of it may go. */
  until: Date
  why: string
}

const reasons = {
  pulled: [
    'untagged manifests',
    'pulled, or taken over from another registry, too short a time ago (holdfast.gc.keeppulled)',
  ],
  trash: ['images in the trash', 'they can be restored until then (holdfast.trash.keep)'],
  grace: ['blobs that nothing refers to', 'a push may be about to (holdfast.gc.grace)'],
} as const

/** Looks what a run that begins now keeps for a while, and for what reason; `untagged`: whether it takes untagged manifests at all. */
export async function findKept(
  facts: CollectionFacts,
  { pulled, trashed, doubted }: Limits,
  { now, untagged }: { now: number; untagged: boolean },
): Promise<Kept[]> {
  const limits = { pulled, trash: trashed, grace: doubted }
  const found = await facts.kept(limits)
  return (['pulled', 'trash', 'grace'] as const).flatMap((reason) => {
    const { count, since } = found[reason]
    if (count === 0 || (reason === 'pulled' && !untagged)) return []
    const [what, why] = reasons[reason]
    return [{ what, count, until: new Date(since + now - limits[reason]), why }]
  })
}

/** The same as a line for people. */
export function lineOf({ what, count, until, why }: { [key in keyof Kept]: Kept[key] | string }): string {
  const moment = new Date(until as Date).toISOString()
  return `${String(count)} ${String(what)} stay, the first until ${moment}: ${String(why)}`
}
