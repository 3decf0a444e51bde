import { setImmediate, setTimeout } from 'node:timers/promises'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import type { FoundManifest, TagMove } from '../metadata/volume-facts.ts'
import { blobPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { type Document, readDocument } from './document.ts'
import { algorithms, digestIn, indexLink, mayHoldRepository, repositoriesPath, tagPath } from './layout.ts'

/** As large as registry:2 takes one, and some. */
const maxManifestBytes = 8 << 20
const workMs = 2
const pauseMs = 8

/** Lets others have the event loop after a few milliseconds of work. */
export type Breathe = () => Promise<void>

/** Pauses longer than it worked while `inTheWay` says so. */
export function createBreath(inTheWay: () => boolean): Breathe {
  let begun = performance.now()
  return async () => {
    if (performance.now() - begun < workMs) return
    await (inTheWay() ? setTimeout(pauseMs) : setImmediate())
    begun = performance.now()
  }
}

/** Reads registry:2's tree of links. What may not be read throws. */
export function createTreeReader(storage: StorageDriver) {
  /** Names of all repositories in the tree; `onError` is told of folders that cannot be read. */
  async function* repositories(onError: (path: string, error: unknown) => void, below = ''): AsyncGenerator<string> {
    const path = below === '' ? repositoriesPath : `${repositoriesPath}/${below}`
    let names: string[]
    try {
      names = await storage.list(path)
    } catch (error) {
      return onError(path, error)
    }
    if (below !== '' && (names.includes('_manifests') || names.includes('_layers'))) yield below
    for (const name of names.toSorted()) {
      const inner = below === '' ? name : `${below}/${name}`
      if (!name.startsWith('_') && mayHoldRepository(inner)) yield* repositories(onError, inner)
    }
  }

  /** The digests folders below a path are named after, with the folder of each. */
  async function digestsIn(path: string): Promise<Digest[]> {
    const found: Digest[] = []
    const there = await storage.list(path) // first: to look for what is not there is what takes time
    for (const algorithm of algorithms.filter((name) => there.includes(name)))
      for (const name of await storage.list(`${path}/${algorithm}`)) {
        const digest = digestIn(algorithm, name)
        if (digest) found.push(digest)
      }
    return found
  }

  /** Every digest a tag pointed to, the newest first. */
  async function history(repository: string, tag: string): Promise<TagMove[]> {
    const moves: TagMove[] = []
    for (const digest of await digestsIn(`${tagPath(repository, tag)}/index`)) {
      const link = await storage.stat(indexLink(repository, tag, digest))
      if (link) moves.push({ digest, at: link.modifiedAt.getTime() })
    }
    return moves.toSorted((a, b) => b.at - a.at || (a.digest < b.digest ? -1 : 1))
  }

  /** The manifest stored under this digest, with what it says; undefined when no such bytes are there. */
  async function manifest(
    digest: Digest,
    pushedAt?: number,
  ): Promise<{ manifest: FoundManifest; document: Document } | undefined> {
    const data = await storage.stat(blobPath(digest))
    if (!data || data.size > maxManifestBytes) return undefined
    const content = await storage.get(blobPath(digest))
    if (!content || digestOf(content, algorithmOf(digest)) !== digest) return undefined
    const document = readDocument(content)
    if (!document) return undefined
    const { mediaType, subject, artifactType, annotations } = document
    const moment = pushedAt ?? data.modifiedAt.getTime()
    return {
      manifest: { digest, mediaType, content, subject, artifactType, annotations, pushedAt: moment },
      document,
    }
  }

  return { repositories, digestsIn, history, manifest }
}

export type TreeReader = ReturnType<typeof createTreeReader>
