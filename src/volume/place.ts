import type { MetadataStore } from '../registry/ports/metadata.ts'
import { cursorName } from './follow.ts'

/**
 * The same cursors, but for that of the tree, which is kept for each place by itself: how far the tree in one storage follows says
 * nothing of another one, and what another lacks was not deleted there. `place` is empty for the folder beside the database.
 */
export function withTreeAt(cursors: MetadataStore['cursors'], place: string): MetadataStore['cursors'] {
  if (place === '') return cursors
  const nameOf = (name: string) => (name === cursorName ? `${cursorName} ${place}` : name)
  return {
    ...cursors,
    get: (name) => cursors.get(nameOf(name)),
    async set(name, sequence) {
      await cursors.set(nameOf(name), sequence)
      // A tree that was left behind keeps no events.
      if (name === cursorName) await cursors.delete(cursorName)
    },
    delete: (name) => cursors.delete(nameOf(name)),
  }
}
