import { type Digest, isDigest } from './digest.ts'
import { isMediaType, isNonDistributable, type ManifestKind, manifestKindOf, mediaTypes } from './media-types.ts'
import { invalid, type Json, type JsonObject, parseStrictJson } from './strict-json.ts'

/** What the registry reads of a manifest; everything else stays in its bytes. */
export interface Manifest {
  mediaType: string
  kind: ManifestKind
  /** Type of the artifact as the referrers API shows it: `artifactType`, else the config's media type. */
  artifactType: string | undefined
  subject: Digest | undefined
  annotations: Record<string, string> | undefined
  /** Content that must be in the repository before the manifest may be: config, layers or blobs, children. */
  references: ContentReference[]
  /** From where layers may be had instead of the registry. */
  urls: string[]
}

export interface ContentReference {
  digest: Digest
  size: number
  /** Children of an index are manifests, or blobs in old build caches (image-spec allows any descriptor). */
  kind: 'blob' | 'child'
  /** For which machines a child is. */
  platform?: Platform | undefined
  /** The manifest is taken also while this is not there. */
  optional?: boolean
}

export interface Platform {
  architecture: unknown
  os: unknown
}

// Keys whose meaning depends on case in our reader but not in Go's: "Layers" would be seen by clients and not by us.
const knownKeys = spellings('schemaVersion mediaType artifactType config layers blobs manifests subject annotations')
const descriptorKeys = spellings('mediaType digest size urls annotations data artifactType platform')
const maxDescriptors = 10_000

/**
 * Reads and checks a manifest pushed as `contentType` (without parameters; undefined: taken from the document).
 * Refuses every document that two clients could take for two different images (CVE-2021-41190 and its family).
 * @throws OciError MANIFEST_INVALID
 */
export function parseManifest(content: Uint8Array, contentType: string | undefined): Manifest {
  const document = asObject(parseStrictJson(content), 'the manifest')
  checkSpelling(document, knownKeys, 'the manifest')
  const mediaType = mediaTypeOf(document, contentType)
  const kind = manifestKindOf(mediaType)
  if (!kind) {
    invalid(
      'unsupported media type: push an OCI image or index, or a Docker schema 2 manifest or list (schema 1 is not supported)',
    )
  }
  if (document.schemaVersion !== 2 && kind !== 'artifact') invalid('"schemaVersion" must be 2')
  checkShape(document, kind)
  const subject = document.subject === undefined ? undefined : asDescriptor(document.subject, 'subject')
  const config = document.config === undefined ? undefined : asDescriptor(document.config, 'config')
  const artifactType = asOptionalMediaType(document.artifactType, 'artifactType') || config?.mediaType
  const annotations = asAnnotations(document.annotations)
  return {
    mediaType,
    kind,
    artifactType,
    subject: subject?.digest,
    annotations,
    ...contentOf(document, config),
  }
}

function mediaTypeOf(document: JsonObject, contentType: string | undefined): string {
  const own = asOptionalMediaType(document.mediaType, 'mediaType')
  if (own && contentType && own !== contentType) invalid(`"mediaType" is ${own} but Content-Type is ${contentType}`)
  return own || contentType || ('manifests' in document ? mediaTypes.index : mediaTypes.image)
}

function checkShape(document: JsonObject, kind: ManifestKind): void {
  const foreign = {
    image: ['manifests', 'blobs'],
    index: ['config', 'layers', 'blobs'],
    artifact: ['config', 'layers', 'manifests'],
  }[kind]
  const alien = foreign.find((key) => key in document)
  if (alien) invalid(`"${alien}" does not belong in a manifest of this media type`)
  if (kind === 'image' && document.config === undefined) invalid('"config" is missing')
  if (kind === 'index' && document.manifests === undefined) invalid('"manifests" is missing')
}

function contentOf(document: JsonObject, config: Descriptor | undefined): Pick<Manifest, 'references' | 'urls'> {
  const layers = [...asDescriptors(document.layers, 'layers'), ...asDescriptors(document.blobs, 'blobs')]
  const children = asDescriptors(document.manifests, 'manifests')
  if (layers.length + children.length > maxDescriptors) invalid(`more than ${maxDescriptors} descriptors`)
  const blobs = layers.filter((layer) => !isNonDistributable(layer.mediaType))
  if (config) blobs.unshift(config)
  const references = [
    ...blobs.map(({ digest, size }) => ({ digest, size, kind: 'blob' as const })),
    ...children.map(({ digest, size, platform }) => ({ digest, size, kind: 'child' as const, platform })),
  ]
  return { references, urls: layers.flatMap((layer) => layer.urls) }
}

interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  urls: string[]
  platform: Platform | undefined
}

function asDescriptor(value: Json, where: string): Descriptor {
  const object = asObject(value, where)
  checkSpelling(object, descriptorKeys, where)
  const mediaType = asOptionalMediaType(object.mediaType, `${where}.mediaType`)
  const { digest, size } = object
  if (!mediaType) invalid(`"${where}.mediaType" is missing`)
  if (typeof digest !== 'string' || !isDigest(digest)) invalid(`"${where}.digest" must be a sha256 or sha512 digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    invalid(`"${where}.size" must be a whole number of bytes`)
  const urls = object.urls === undefined ? [] : asStrings(object.urls, `${where}.urls`)
  if (object.data !== undefined && typeof object.data !== 'string') invalid(`"${where}.data" must be a string`)
  asOptionalMediaType(object.artifactType, `${where}.artifactType`)
  asAnnotations(object.annotations, `${where}.annotations`)
  const platform = object.platform as unknown as Platform | undefined
  return { mediaType, digest, size, urls, platform: typeof platform === 'object' ? platform : undefined }
}

function asDescriptors(value: Json | undefined, where: string): Descriptor[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) invalid(`"${where}" must be a list`)
  return value.map((item, index) => asDescriptor(item, `${where}[${index}]`))
}

function asObject(value: Json, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) invalid(`${where} must be a JSON object`)
  return value
}

function asStrings(value: Json, where: string): string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    invalid(`"${where}" must be a list of strings`)
  return value as string[]
}

function asOptionalMediaType(value: Json | undefined, where: string): string | undefined {
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string' || !isMediaType(value))
    invalid(`"${where}" must be a media type such as application/json`)
  return value
}

function asAnnotations(value: Json | undefined, where = 'annotations'): Record<string, string> | undefined {
  if (value === undefined) return undefined
  const object = asObject(value, `"${where}"`)
  if (Object.values(object).some((item) => typeof item !== 'string')) invalid(`"${where}" must map strings to strings`)
  return object as Record<string, string>
}

/** Keys by what is left of them when case does not count. */
function spellings(keys: string): Map<string, string> {
  return new Map(keys.split(' ').map((key) => [key.toLowerCase(), key]))
}

function checkSpelling(object: JsonObject, known: Map<string, string>, where: string): void {
  for (const key of Object.keys(object)) {
    const meant = known.get(key.toLowerCase())
    if (meant !== undefined && meant !== key) invalid(`unknown key in ${where}: write "${meant}" in exactly this case`)
  }
}
