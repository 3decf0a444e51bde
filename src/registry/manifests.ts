import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import type { Reference } from '../oci/reference.ts'
import type { Actor } from './ports/events.ts'
import type { ManifestPush, StoredManifest } from './ports/metadata.ts'
import type { RegistryPorts } from './ports/ports.ts'

export interface ManifestRequest {
  repository: string
  content: Buffer
  contentType: string | undefined
  /** Given by the client: verified, and the name the manifest is stored under. Without one it is stored under its sha256. */
  digest: Digest | undefined
  tags: string[]
  expects?: ManifestPush['expects']
}

/** Of the manifests that were pushed last so many are not parsed again: the next tag and the next run of a pipeline bring the same. */
const maxParsed = 64
const worthKeeping = 64 << 10

/** Manifests, byte for byte, and the tags that point to them. */
export function createManifests({ metadata, guards }: Pick<RegistryPorts, 'metadata' | 'guards'>) {
  const parsedOnes = new Map<string, Manifest>()

  /** end-3 @throws OciError MANIFEST_UNKNOWN, whether repository or manifest is missing: neither shows what else exists */
  async function get(repository: string, reference: Reference): Promise<StoredManifest> {
    const manifest = await metadata.manifests.find(repository, reference)
    if (manifest) return manifest
    throw new OciError('MANIFEST_UNKNOWN', { detail: reference })
  }

  /**
   * end-7: checks and stores a manifest and sets its tags in one transaction. Calls `beforePush` once the digest is known.
   * @throws OciError MANIFEST_INVALID, DIGEST_INVALID, MANIFEST_BLOB_UNKNOWN, PRECONDITION_FAILED
   */
  async function push(
    request: ManifestRequest,
    actor: Actor,
    beforePush: (digest: Digest, manifest: Manifest) => Promise<void>,
  ): Promise<{ digest: Digest; subject: Digest | undefined }> {
    const { repository, content, tags, expects } = request
    const digest = digestOf(content, request.digest && algorithmOf(request.digest))
    if (request.digest && request.digest !== digest) throw new OciError('DIGEST_INVALID', { detail: { digest } })
    const parsed = parse(digest, content, request.contentType)
    await beforePush(digest, parsed)
    const { mediaType, artifactType, subject, annotations } = parsed
    const references = parsed.references.map((reference) =>
      guards.some((guard) => guard.mayMiss?.(reference)) ? { ...reference, optional: true } : reference,
    )
    const manifest = { digest, mediaType, content }
    const outcome = await metadata.manifests.push(
      { repository, manifest, tags, artifactType, subject, annotations, references, expects },
      actor,
    )
    switch (outcome.outcome) {
      case 'pushed':
        return { digest, subject }
      case 'missing':
        throw new OciError('MANIFEST_BLOB_UNKNOWN', { detail: outcome.digests.map((missing) => ({ digest: missing })) })
      case 'wrong-size':
        throw new OciError('MANIFEST_INVALID', {
          message: `the size of ${outcome.digest} is ${outcome.size} bytes, the manifest says otherwise`,
        })
      case 'refused':
        throw new OciError('DENIED', outcome)
      case 'precondition-failed':
        throw new OciError('PRECONDITION_FAILED')
    }
  }

  function parse(digest: Digest, content: Buffer, contentType: string | undefined): Manifest {
    const key = `${digest} ${contentType}`
    const known = parsedOnes.get(key)
    if (known) return known
    const parsed = parseManifest(content, contentType)
    if (parsedOnes.size >= maxParsed) parsedOnes.delete(parsedOnes.keys().next().value!)
    if (content.length <= worthKeeping) parsedOnes.set(key, parsed)
    return parsed
  }

  /** end-9: by tag only the tag goes; by digest the manifest and every tag on it. @throws OciError MANIFEST_UNKNOWN */
  async function remove(repository: string, reference: Reference, actor: Actor): Promise<void> {
    const removed =
      'tag' in reference
        ? await metadata.tags.delete(repository, reference.tag, actor)
        : await metadata.manifests.delete(repository, reference.digest, actor)
    if (!removed) throw new OciError('MANIFEST_UNKNOWN', { detail: reference })
  }

  return { get, push, remove }
}
