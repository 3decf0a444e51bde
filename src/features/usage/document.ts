import { type Digest, isDigest } from '../../oci/digest.ts'

/** A descriptor, as far as it can be believed. */
export interface Descriptor {
  digest: Digest
  size: number
  mediaType: string
  platform: unknown
}

/** A JSON object; an empty one where it is none. */
export function parse(content: Uint8Array | undefined): Record<string, unknown> {
  try {
    return asObject(JSON.parse(Buffer.from(content ?? []).toString()))
  } catch {
    return {}
  }
}

/** The layers of an image, each as often as it is named: so often it is unpacked. */
export const layersOf = (manifest: Record<string, unknown>): Descriptor[] => descriptorsOf(manifest.layers)

/** The images of an index. */
export const childrenOf = (manifest: Record<string, unknown>): Descriptor[] => descriptorsOf(manifest.manifests)

export function configOf({ config }: Record<string, unknown>): Digest | undefined {
  return descriptorsOf([config])[0]?.digest
}

/** Whether a client unpacks it. What is no tar takes its own size. */
export function isPacked({ mediaType }: Descriptor): boolean {
  return /[.+](tar|gzip|zstd)$/.test(mediaType)
}

/** What a config or a descriptor says: linux/arm64/v8; empty where it says nothing. */
export function platformOf(value: unknown): string {
  const { os, architecture, variant } = asObject(value)
  return [os, architecture, variant].filter((part) => typeof part === 'string' && part !== '').join('/')
}

function descriptorsOf(list: unknown): Descriptor[] {
  return (Array.isArray(list) ? list : []).map(asObject).flatMap(({ digest, size, mediaType, platform }) => {
    if (typeof digest !== 'string' || !isDigest(digest)) return []
    const known = { size: Number.isSafeInteger(size) ? (size as number) : 0, mediaType: String(mediaType) }
    return [{ digest, ...known, platform }]
  })
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}
