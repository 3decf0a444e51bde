import type { Digest } from '../../oci/digest.ts'
import { unreadable, type SizeFacts, tooLarge } from '../../metadata/size-facts.ts'
import type { MetadataStore, StoredManifest } from '../../registry/ports/metadata.ts'
import { readDocument } from '../../volume/document.ts'
import { childrenOf, isPacked, layersOf, parse, platformOf } from './document.ts'

/** How far it is known what an image takes unpacked. */
type Known = 'exact' | 'waiting' | 'too-large' | 'unknown'

interface Unpacked {
  sizeUnpacked: number | null
  unpacked: Known
}

/** What a client that has nothing fetches of an image, for one platform, and what that takes unpacked. */
export interface Download extends Unpacked {
  digest: Digest
  /** As an index says it: linux/amd64. */
  platform?: string
  sizeDownload: number
}

/** More than that an index does not hold of platforms. */
const most = 100

/** The downloads of an image: one, or for an index one for each image in it that is there. What is not known of them is asked for. */
export function createDownloads({ manifests }: Pick<MetadataStore, 'manifests'>, sizes: SizeFacts) {
  async function unpackedOf(repository: string, { digest, content }: StoredManifest): Promise<Unpacked> {
    const manifest = parse(content)
    const layers = layersOf(manifest)
    if (!Array.isArray(manifest.layers)) return { sizeUnpacked: null, unpacked: 'unknown' }
    const packed = layers.filter(isPacked).map((layer) => layer.digest)
    const known = await sizes.unpacked(repository, [...new Set(packed)])
    const found = layers.map((layer) => (isPacked(layer) ? known.get(layer.digest) : layer.size))
    if (found.includes(tooLarge)) return { sizeUnpacked: null, unpacked: 'too-large' }
    if (found.includes(unreadable)) return { sizeUnpacked: null, unpacked: 'unknown' }
    if (!found.includes(undefined))
      return { sizeUnpacked: found.reduce<number>((sum, size) => sum + size!, 0), unpacked: 'exact' }
    await sizes.unmeasured.ask(repository, digest)
    return { sizeUnpacked: null, unpacked: 'waiting' }
  }

  return async (repository: string, manifest: StoredManifest): Promise<Download[]> => {
    const { digest, content } = manifest
    const children = childrenOf(parse(content))
    if (children.length === 0)
      return [{ digest, sizeDownload: sizeOf(manifest), ...(await unpackedOf(repository, manifest)) }]
    const found = []
    for (const child of children.slice(0, most)) {
      const image = await manifests.find(repository, { digest: child.digest })
      if (!image) continue
      const sizeDownload = content.length + sizeOf(image)
      const unpacked = await unpackedOf(repository, image)
      found.push({ digest: child.digest, platform: platformOf(child.platform), sizeDownload, ...unpacked })
    }
    return found
  }
}

/** Of an index the largest, if all are known. */
export function largestOf(downloads: Download[]): { sizeDownload: number } & Unpacked {
  const sizeDownload = Math.max(0, ...downloads.map((one) => one.sizeDownload))
  const lacking = downloads.find(({ unpacked }) => unpacked !== 'exact')
  if (lacking || downloads.length === 0)
    return { sizeDownload, sizeUnpacked: null, unpacked: lacking?.unpacked ?? 'unknown' }
  return { sizeDownload, sizeUnpacked: Math.max(...downloads.map((one) => one.sizeUnpacked!)), unpacked: 'exact' }
}

/** The manifest and what it names: each blob once, as a client fetches it. Sizes were checked when it was pushed. */
function sizeOf(manifest: StoredManifest): number {
  const references = readDocument(manifest.content)?.references ?? []
  const blobs = new Map(references.map(({ digest, size }) => [digest, size]))
  return [...blobs.values()].reduce((sum, size) => sum + size, manifest.content.length)
}
