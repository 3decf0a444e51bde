import { type Digest, isDigest } from '../../oci/digest.ts'
import type { MetadataStore, StoredManifest } from '../../registry/ports/metadata.ts'
import { readDocument } from '../../volume/document.ts'

/** What a client that has nothing fetches of an image, for one platform. */
export interface Download {
  digest: Digest
  /** As an index says it: linux/amd64. */
  platform?: string
  sizeDownload: number
}

interface Listed {
  digest?: unknown
  size?: unknown
  platform?: { os?: unknown; architecture?: unknown; variant?: unknown }
}

/** More than that an index does not hold of platforms. */
const most = 100

/** The downloads of an image: one, or for an index one for each image in it that is there. */
export function createDownloads({ manifests }: Pick<MetadataStore, 'manifests'>) {
  return async (repository: string, manifest: StoredManifest): Promise<Download[]> => {
    const children = listOf(manifest, 'manifests')
    if (children.length === 0) return [{ digest: manifest.digest, sizeDownload: sizeOf(manifest) }]
    const found = []
    for (const { digest, platform } of children.slice(0, most)) {
      if (typeof digest !== 'string' || !isDigest(digest)) continue
      const child = await manifests.find(repository, { digest })
      const { os, architecture, variant } = platform ?? {}
      const name = [os, architecture, variant].filter((part) => typeof part === 'string').join('/')
      if (child) found.push({ digest, platform: name, sizeDownload: manifest.content.length + sizeOf(child) })
    }
    return found
  }
}

/** The manifest and what it names: each blob once, as a client fetches it. Sizes were checked when it was pushed. */
function sizeOf(manifest: StoredManifest): number {
  const references = readDocument(manifest.content)?.references ?? []
  const blobs = new Map(references.map(({ digest, size }) => [digest, size]))
  return [...blobs.values()].reduce((sum, size) => sum + size, manifest.content.length)
}

function listOf({ content }: StoredManifest, key: string): Listed[] {
  try {
    const list = (JSON.parse(String(content)) as Record<string, unknown>)[key]
    return Array.isArray(list) ? (list as Listed[]).filter((item) => typeof item === 'object' && item !== null) : []
  } catch {
    return []
  }
}
