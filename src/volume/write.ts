import { type Digest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import type { StoredManifest } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { currentLink, indexLink, layerLink, revisionLink, tagPath } from './layout.ts'

export type TreeWriter = ReturnType<typeof createTreeWriter>

/**
 * Writes links as registry:2 does, each with the moment of what it stands for as its time: by it a link that registry:2 wrote
 * later is told from ours. What is there already is left alone; with `unlessNewer` so is what was written after the moment. In an
 * object store (`isRemote`) it takes as long to look as to write, so a link that moves is just written.
 */
export function createTreeWriter(storage: StorageDriver, unlessNewer = false, isRemote = false) {
  async function stays(path: string, at: Date): Promise<boolean> {
    const found = unlessNewer ? await storage.stat(path) : undefined
    return found !== undefined && found.modifiedAt > at
  }

  /** A link that says when it was set, and perhaps to what. */
  async function moving(path: string, digest: Digest, at: Date): Promise<void> {
    const found = isRemote ? undefined : await storage.stat(path)
    const isThere = found?.modifiedAt.getTime() === at.getTime() && String(await storage.get(path)) === digest
    if (!isThere) await storage.put(path, Buffer.from(digest), at)
  }

  /** A link whose path says what it holds: one that is whole is left as it is. */
  async function fixed(path: string, digest: Digest, at: Date): Promise<void> {
    const found = await storage.stat(path)
    if (found?.size !== digest.length) await storage.put(path, Buffer.from(digest), at)
  }

  return {
    layer: (repository: string, digest: Digest, at: Date) => fixed(layerLink(repository, digest), digest, at),

    /** The manifest's bytes, then its link: in this order a link never leads nowhere. */
    async manifest(repository: string, { digest, content }: StoredManifest, at: Date): Promise<void> {
      const found = await storage.stat(blobPath(digest))
      if (found?.size !== content.length) await storage.put(blobPath(digest), content, at)
      await fixed(revisionLink(repository, digest), digest, at)
    },

    async tag(repository: string, tag: string, digest: Digest, at: Date): Promise<void> {
      const current = currentLink(repository, tag)
      if (await stays(current, at)) return
      await moving(indexLink(repository, tag, digest), digest, at)
      await moving(current, digest, at)
    },

    async removeLayer(repository: string, digest: Digest, at: Date): Promise<void> {
      await remove(layerLink(repository, digest), at)
    },
    async removeManifest(repository: string, digest: Digest, at: Date): Promise<void> {
      await remove(revisionLink(repository, digest), at)
    },
    async removeTag(repository: string, tag: string, at: Date): Promise<void> {
      if (!(await stays(currentLink(repository, tag), at))) await storage.delete(tagPath(repository, tag))
    },
  }

  /** Only the link: its folder stays, as in registry:2. */
  async function remove(link: string, at: Date): Promise<void> {
    if (!(await stays(link, at))) await storage.delete(link)
  }
}
