import { restKey, type SessionDeps } from './session.ts'
import type { Known, States } from './states.ts'

interface Deps {
  store: SessionDeps['store']
  states: States
  /** Of the objects that hold bytes of uploads. */
  prefix: string
}

/** Where blobs go straight to: plain, and encrypted. */
const blobsPrefixes = ['docker/registry/v2/blobs/', 'holdfast/encrypted/']

/**
 * Removes what crashes left in the store: objects and multipart uploads of before a moment that no state names. It lists the store,
 * so it is done rarely. Uploads that registry:2 left are its own affair.
 */
export function createSweep({ store, states, prefix }: Deps): (before: Date) => Promise<number> {
  /** The state that may name a key `<prefix><path>/<name>`. */
  const ownerOf = (key: string): Promise<Known | undefined> =>
    states.find(key.slice(prefix.length, key.lastIndexOf('/')))

  return async function sweep(before) {
    let swept = 0
    for await (const { key, modifiedAt } of store.list(prefix)) {
      if (!modifiedAt || modifiedAt >= before) continue
      const owner = await ownerOf(key)
      if (owner && (restKey(owner.staged) === key || owner.staged.stored?.upload.key === key)) continue
      await store.delete([key])
      swept++
    }
    for (const below of [prefix, ...blobsPrefixes])
      for await (const { begunAt, ...upload } of store.unfinished(below)) {
        if (begunAt >= before) continue
        const owner = below === prefix ? await ownerOf(upload.key) : undefined
        if (owner?.staged.stored?.upload.id === upload.id) continue
        await store.abort(upload)
        swept++
      }
    return swept
  }
}
