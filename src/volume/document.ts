import { type Digest, isDigest } from '../oci/digest.ts'
import { type ContentReference, parseManifest } from '../oci/manifest.ts'
import { isMediaType, isNonDistributable, mediaTypes } from '../oci/media-types.ts'

/** Signed schema 1, which registry:2 took until 2.8 and which is served as it is stored. */
const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

export interface Document {
  mediaType: string
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  references: ContentReference[]
}

/**
 * Reads a manifest another registry took in. What Holdfast would refuse today is served nevertheless: its bytes are what its
 * digest says. Undefined for what is no manifest at all.
 */
export function readDocument(content: Uint8Array): Document | undefined {
  try {
    const { mediaType, subject, artifactType, annotations, references } = parseManifest(content, undefined)
    return { mediaType, subject, artifactType, annotations, references }
  } catch {
    return readLoosely(content)
  }
}

function readLoosely(content: Uint8Array): Document | undefined {
  const document = asObject(parseJson(content))
  const { schemaVersion, mediaType, manifests, config, layers, blobs, fsLayers } = document
  if (schemaVersion !== 1 && schemaVersion !== 2) return undefined
  const own = typeof mediaType === 'string' && isMediaType(mediaType) ? mediaType : undefined
  const guessed = schemaVersion === 1 ? schema1 : manifests === undefined ? mediaTypes.image : mediaTypes.index
  const subject = asObject(document.subject).digest
  return {
    mediaType: own ?? guessed,
    subject: typeof subject === 'string' && isDigest(subject) ? subject : undefined,
    artifactType: undefined,
    annotations: undefined,
    references: [
      ...[config, ...asArray(layers), ...asArray(blobs)].flatMap((item) => reference(item, 'blob')),
      ...asArray(manifests).flatMap((item) => reference(item, 'child')),
      ...asArray(fsLayers).flatMap((layer) => reference({ digest: asObject(layer).blobSum }, 'blob')),
    ],
  }
}

function reference(value: unknown, kind: ContentReference['kind']): ContentReference[] {
  const { digest, size, mediaType } = asObject(value)
  if (typeof digest !== 'string' || !isDigest(digest)) return []
  if (typeof mediaType === 'string' && isNonDistributable(mediaType)) return []
  return [{ digest, size: typeof size === 'number' ? size : 0, kind }]
}

function parseJson(content: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(content).toString())
  } catch {
    return undefined
  }
}

const asObject = (value: unknown) =>
  (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}) as Record<string, unknown>
const asArray = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
