/** Media types the registry itself must know; every other one passes through unread. */
export const mediaTypes = {
  image: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  /** Withdrawn before OCI 1.1, still pushed by older oras and notation. */
  artifact: 'application/vnd.oci.artifact.manifest.v1+json',
  dockerImage: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  octets: 'application/octet-stream',
} as const

const indexes: readonly string[] = [mediaTypes.index, mediaTypes.dockerList]
const images: readonly string[] = [mediaTypes.image, mediaTypes.dockerImage]

export type ManifestKind = 'image' | 'index' | 'artifact'

/** Which shape a manifest of this media type has; undefined for types the registry does not store (schema 1 among them). */
export function manifestKindOf(mediaType: string): ManifestKind | undefined {
  if (images.includes(mediaType)) return 'image'
  if (indexes.includes(mediaType)) return 'index'
  return mediaType === mediaTypes.artifact ? 'artifact' : undefined
}

/** A layer that is fetched from elsewhere, so its bytes need not be here (image-spec, non-distributable layers). */
export function isNonDistributable(mediaType: string): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.')
}

// RFC 6838 4.2: what may stand in a header again without harm.
const grammar = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$/

export function isMediaType(text: string): boolean {
  return grammar.test(text)
}
