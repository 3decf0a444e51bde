import { setImmediate } from 'node:timers/promises'
import type { RegistryEvent } from '../registry/ports/events.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import { currentLink, layerLink, revisionLink } from './layout.ts'

const pageSize = 500

/** Whether a link that was written at this moment is taken away by an event that the tree has yet to follow. */
export type TakenAway = (path: string, modifiedAt: Date) => boolean

/**
 * What the events after `from` take out of the tree. A start after a crash need not wait until they are followed to know that
 * such a link is no news of another registry.
 */
export async function pendingRemovals(events: MetadataStore['events'], from: number): Promise<TakenAway> {
  const removed = new Map<string, number>()
  for (let last = from; ;) {
    const page = await events.after(last, pageSize)
    for (const event of page) for (const path of linksRemovedBy(event)) removed.set(path, Date.parse(event.at))
    if (page.length < pageSize) break
    last = page.at(-1)!.sequence
    await setImmediate()
  }
  return (path, modifiedAt) => modifiedAt.getTime() <= (removed.get(path) ?? -Infinity)
}

function linksRemovedBy(event: RegistryEvent): string[] {
  const { repository, type } = event
  if (type === 'blob.deleted') return [layerLink(repository, event.digest)]
  if (type === 'tag.deleted') return [currentLink(repository, event.tag)]
  if (type !== 'manifest.deleted') return []
  return [revisionLink(repository, event.digest), ...event.tags.map((tag) => currentLink(repository, tag))]
}
