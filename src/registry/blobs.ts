import type { Content } from '../http/types.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { blobPath } from './paths.ts'
import type { Actor } from './ports/events.ts'
import type { RegistryPorts } from './ports/ports.ts'

/** Blobs that are there: a blob is visible only through a repository that holds it, and only if its bytes are whole. */
export function createBlobs({ storage, metadata }: RegistryPorts) {
  /** @throws OciError BLOB_UNKNOWN */
  async function stat(repository: string, digest: Digest): Promise<{ size: number }> {
    const [blob, stored] = await Promise.all([metadata.blobs.find(repository, digest), storage.stat(blobPath(digest))])
    if (blob && blob.size === stored?.size) return blob
    throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
  }

  /** Opens the blob; the caller closes it. @throws OciError BLOB_UNKNOWN */
  async function open(repository: string, digest: Digest): Promise<Content> {
    const blob = await metadata.blobs.find(repository, digest)
    const content = blob && (await storage.open(blobPath(digest)))
    if (content && blob.size === content.size) return content
    await content?.close()
    throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
  }

  /** Whether the bytes of this blob are stored whole, whichever repository holds it. */
  async function isStored(digest: Digest): Promise<boolean> {
    const [blob, stored] = await Promise.all([metadata.blobs.findAnywhere(digest), storage.stat(blobPath(digest))])
    return blob !== undefined && blob.size === stored?.size
  }

  /**
   * end-11: makes a blob of the first of these repositories that holds it a blob of `repository`, and tells whether one did.
   * Whether the caller may pull there is the route's question.
   */
  async function mount(repository: string, digest: Digest, from: string[], actor: Actor): Promise<boolean> {
    if (from.length === 0 || !(await isStored(digest))) return false
    for (const source of from) {
      if (await metadata.blobs.mount({ repository, digest, from: source }, actor)) return true
    }
    return false
  }

  /** end-10: takes the blob out of the repository; its bytes stay until nothing needs them. @throws OciError BLOB_UNKNOWN */
  async function remove(repository: string, digest: Digest, actor: Actor): Promise<void> {
    if (!(await metadata.blobs.unlink(repository, digest, actor)))
      throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
  }

  return { stat, open, mount, remove }
}
