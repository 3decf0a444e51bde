import { Problem } from '../../api/problem.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Actor } from '../../registry/ports/events.ts'
import type { StoredManifest } from '../../registry/ports/metadata.ts'
import { readDocument } from '../../volume/document.ts'
import type { Platform } from '../feature.ts'

/** Brings images and tags back, each in one transaction that looks whether all of it is still there. */
export function createRestore({ metadata, history }: Pick<Platform, 'metadata' | 'history'>) {
  /**
   * Stores the manifest as it was, with these tags; what it refers to comes out of the trash first where it lies there.
   * @throws Problem conflict where content is gone
   */
  async function put(repository: string, manifest: StoredManifest, tags: string[], actor: Actor): Promise<void> {
    const document = readDocument(manifest.content)
    if (!document) throw new Problem('conflict', `${manifest.digest} is no manifest any more that could be read`)
    const { artifactType, subject, annotations, references } = document
    const why = 'restored'
    const push = { repository, manifest, tags, artifactType, subject, annotations, references, why } as const
    let outcome = await metadata.manifests.push(push, actor)
    const children = outcome.outcome === 'missing' ? await trashedOf(repository, outcome.digests) : []
    for (const child of children) await put(repository, child, [], actor)
    if (children.length > 0) outcome = await metadata.manifests.push(push, actor)
    if (outcome.outcome === 'pushed') return
    const gone = outcome.outcome === 'missing' ? `: ${outcome.digests.join(', ')}` : ''
    throw new Problem(
      'conflict',
      `what ${manifest.digest} refers to is not there any more${gone}; restore or push that first`,
    )
  }

  return {
    /** Takes an image out of the trash, and gives it those of its tags that stand nowhere else now. */
    async image(repository: string, digest: Digest, actor: Actor): Promise<{ tags: string[] }> {
      const manifest = await history.trashed(repository, digest)
      if (!manifest) throw new Problem('not-found', `${digest} is not in the trash of ${repository}`)
      const had = await tagsOf(repository, digest)
      const standing = await Promise.all(had.map((tag) => metadata.manifests.find(repository, { tag })))
      const tags = had.filter((_, index) => standing[index] === undefined)
      await put(repository, manifest, tags, actor)
      return { tags }
    },

    /** Points a tag to an image that is there, or in the trash. */
    async tag(repository: string, tag: string, digest: Digest, actor: Actor): Promise<void> {
      const manifest =
        (await metadata.manifests.find(repository, { digest })) ?? (await history.trashed(repository, digest))
      if (!manifest) throw new Problem('not-found', `${repository} does not hold ${digest}, in the trash neither`)
      await put(repository, manifest, [tag], actor)
    },
  }

  async function trashedOf(repository: string, digests: Digest[]): Promise<StoredManifest[]> {
    const found = await Promise.all(digests.map((digest) => history.trashed(repository, digest)))
    return found.filter((manifest) => manifest !== undefined)
  }

  async function tagsOf(repository: string, digest: Digest): Promise<string[]> {
    for (let last: string | undefined; ;) {
      const part = await history.trash(repository, { limit: 500, last })
      const found = part.find((one) => one.digest === digest)
      if (found || part.length < 500) return found?.tags ?? []
      last = part.at(-1)!.digest
    }
  }
}
