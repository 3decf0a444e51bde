import type { Digest } from '../oci/digest.ts'
import type { MetadataStore, Page } from '../registry/ports/metadata.ts'

export interface Gate {
  /** Whether everything was reconciled, and nothing need be waited for. */
  isOpen(): boolean
  /** Reconciles a repository, once. */
  ready(repository: string): Promise<void>
  /** Names of the repositories in the tree, in byte order. */
  names(): Promise<string[]>
  /** Whether the volume is not there at all: then nothing is taken in. */
  isMissing(): boolean
  /** The size of a blob's bytes, whether or not the database knows it. */
  sizeOf(digest: Digest): Promise<{ size: number } | undefined>
}

/** A metadata store that answers about a repository only when that is what the tree says. */
export function createGate(store: MetadataStore, { isOpen, ready, names, isMissing, sizeOf }: Gate): MetadataStore {
  /** The method, called when the repository it names first is ready. */
  function after<Rest extends unknown[], Result>(method: (repository: string, ...rest: Rest) => Promise<Result>) {
    return (repository: string, ...rest: Rest): Promise<Result> =>
      isOpen() ? method(repository, ...rest) : ready(repository).then(() => method(repository, ...rest))
  }
  /** The same for a method that is given an object. */
  function afterOf<About extends { repository: string; from?: string }, Rest extends unknown[], Result>(
    method: (about: About, ...rest: Rest) => Promise<Result>,
  ) {
    return async (about: About, ...rest: Rest): Promise<Result> => {
      if (!isOpen()) {
        await ready(about.repository)
        if (about.from !== undefined) await ready(about.from)
      }
      // What is pushed now would be gone when the right volume is back.
      if (isMissing())
        throw Object.assign(new Error('the volume is not there: volume.gone says more'), { code: 'EAGAIN' })
      return method(about, ...rest)
    }
  }

  async function listRepositories(page: Page): Promise<string[]> {
    const known = await store.repositories.list(page)
    if (isOpen()) return known
    const { last = '', limit } = page
    const inTree = (await names()).filter((name) => name > last)
    return [...new Set([...known, ...inTree])].toSorted().slice(0, limit)
  }

  return {
    ...store,
    repositories: { list: listRepositories },
    blobs: {
      ...store.blobs,
      find: after(store.blobs.find),
      findAnywhere: async (digest) =>
        (await store.blobs.findAnywhere(digest)) ?? (isOpen() ? undefined : sizeOf(digest)),
      commit: afterOf(store.blobs.commit),
      mount: afterOf(store.blobs.mount),
      unlink: after(store.blobs.unlink),
    },
    manifests: {
      find: after(store.manifests.find),
      push: afterOf(store.manifests.push),
      delete: after(store.manifests.delete),
      referrers: after(store.manifests.referrers),
    },
    tags: {
      list: after(store.tags.list),
      delete: after(store.tags.delete),
    },
  }
}
