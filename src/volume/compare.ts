import type { Digest } from '../oci/digest.ts'
import { manifestKindOf } from '../oci/media-types.ts'
import type { Found, FoundManifest, RepositoryFacts, TagMove, VolumeFacts } from '../metadata/volume-facts.ts'
import { blobPath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { readDocument } from './document.ts'
import {
  currentLink,
  isEmptyDigest,
  isTag,
  layerLink,
  layersPath,
  parseLink,
  revisionLink,
  revisionsPath,
  tagsPath,
} from './layout.ts'
import type { TakenAway } from './pending.ts'
import type { Breathe, TreeReader } from './read.ts'

/** Manifests are handed over in portions of this many: their bytes need not be in memory together. */
const portion = 400

/** How tree and database of a repository differ. */
export interface Difference {
  /** In the tree, and not or otherwise in the database; manifests were handed over as they were found. */
  found: Pick<Found, 'blobs' | 'tags'> & { manifests: Digest[] }
  /** Names the content lies under in the tree that differ from what a link is called: sha512 names of sha256 content. */
  aliases: { digest: Digest; target: Digest }[]
  /** In the database, and not or otherwise in the tree. */
  lost: { layers: Digest[]; manifests: Digest[]; tags: string[] }
  /** Layers of the database whose link is gone though manifests refer to them: nobody deletes half an image. */
  kept: Digest[]
  /** Whether everything could be read; else what seems lost may be there. */
  whole: boolean
}

interface Deps {
  storage: StorageDriver
  reader: TreeReader
  facts: VolumeFacts
  manifests: MetadataStore['manifests']
  onUnreadable(path: string, error: unknown): void
}

interface Options {
  /** Whether the tree is right about a tag it moved at the first moment and the database at the second. */
  treeWins(inTree: number, inDatabase: number): boolean
  /** What is in the tree only until the follower comes to it; asked for when the database was read. */
  pending(): TakenAway | Promise<TakenAway>
  takeManifests(manifests: FoundManifest[]): Promise<void>
  breathe: Breathe
}

/** Compares the tree of links of a repository with the database; of what is unchanged nothing is read but the names. */
export function createComparison({ storage, reader, facts, manifests, onUnreadable }: Deps) {
  return async function compare(
    repository: string,
    { treeWins, pending, takeManifests, breathe }: Options,
  ): Promise<Difference> {
    const known = await facts.of(repository)
    const takenAway = await pending()
    const difference: Difference = {
      found: { blobs: [], manifests: [], tags: [] },
      aliases: [],
      lost: { layers: [], manifests: [], tags: [] },
      kept: [],
      whole: true,
    }
    const { found, lost } = difference
    /** Manifests that are served: those of the database that the tree still has, and found ones. */
    const served = new Set<Digest>()
    let gathered: FoundManifest[] = []
    let taking: Promise<void> = Promise.resolve()
    /** Links that lead to nothing that can be served. */
    const broken: string[] = []
    /** What the manifests found say of the sizes of blobs. */
    const stated = new Map<Digest, Set<number>>()

    await layers()
    await revisions()
    await tags()
    await keepWhatIsNeeded()
    await handOver()
    await taking
    found.blobs.forEach(believeManifests)
    if (broken.length > 0)
      onUnreadable(
        broken[0]!,
        `this and ${broken.length - 1} more links lead to nothing whole; holdfast fsck lists them`,
      )
    return difference

    /** Does a part of the work; what cannot be read is told, and the rest goes on. */
    async function attempt(path: string, work: () => Promise<void>): Promise<void> {
      await breathe()
      try {
        await work()
      } catch (error) {
        difference.whole = false
        onUnreadable(path, error)
      }
    }
    /** Goes on reading while the database takes them in. */
    async function handOver(): Promise<void> {
      const manifestsFound = gathered
      gathered = []
      await taking
      taking = takeManifests(manifestsFound)
      taking.catch(() => {}) // whoever waits for it next is told
    }

    async function layers(): Promise<void> {
      const present = new Set<Digest>()
      await attempt(layersPath(repository), async () => {
        for (const digest of await reader.digestsIn(layersPath(repository)))
          await attempt(layerLink(repository, digest), () => layer(digest, present))
      })
      const gone = [...known.layers].filter((digest) => !present.has(digest))
      const needed = gone.length > 0 ? await facts.needed(repository, gone) : new Set()
      for (const digest of gone) (needed.has(digest) ? difference.kept : lost.layers).push(digest)
    }
    async function layer(digest: Digest, present: Set<Digest>): Promise<void> {
      const path = layerLink(repository, digest)
      const link = await storage.stat(path)
      if (!link) return
      present.add(digest)
      if (known.layers.has(digest) || takenAway(path, link.modifiedAt)) return
      const own = await storage.stat(blobPath(digest))
      const target = own ? digest : parseLink(await storage.get(path))
      const data = own ?? (target && (await storage.stat(blobPath(target))))
      if (!data || !target) return // a link that leads nowhere: the blob is unknown
      if (data.size === 0 && !isEmptyDigest(digest)) return // what a crash left of a write
      if (target !== digest && !digest.startsWith('sha512:')) return
      if (target !== digest) difference.aliases.push({ digest, target })
      found.blobs.push({ digest, size: data.size, storedAt: data.modifiedAt.getTime() })
    }

    /** A blob that no manifest knows by the size it has is recorded by theirs: its bytes are damaged, and not served. */
    function believeManifests(blob: Found['blobs'][0]): void {
      const sizes = stated.get(blob.digest)
      if (!sizes || sizes.has(blob.size)) return
      broken.push(layerLink(repository, blob.digest))
      blob.size = [...sizes][0]!
    }

    async function revisions(): Promise<void> {
      await attempt(revisionsPath(repository), async () => {
        for (const digest of await reader.digestsIn(revisionsPath(repository)))
          await attempt(revisionLink(repository, digest), async () => {
            const path = revisionLink(repository, digest)
            const link = await storage.stat(path)
            if (!link) return
            if (known.manifests.has(digest)) served.add(digest)
            else if (!takenAway(path, link.modifiedAt) && !(await find(digest, link.modifiedAt.getTime())))
              broken.push(path)
          })
      })
    }

    /** Takes a manifest from its bytes, if they are there, and then the children it lists. */
    async function find(digest: Digest, pushedAt?: number): Promise<boolean> {
      if (served.has(digest)) return true
      const read = await reader.manifest(digest, pushedAt)
      if (!read) return false
      served.add(digest)
      found.manifests.push(digest)
      gathered.push(read.manifest)
      for (const { kind, digest: needed, size } of read.document.references) {
        if (kind === 'child') await findChild(needed)
        else if (size > 0) stated.set(needed, (stated.get(needed) ?? new Set()).add(size))
      }
      if (gathered.length >= portion) await handOver()
      return true
    }

    async function findChild(digest: Digest): Promise<void> {
      if (known.manifests.has(digest)) {
        if (await storage.stat(blobPath(digest))) served.add(digest)
        return
      }
      const link = await storage.stat(revisionLink(repository, digest))
      await find(digest, link?.modifiedAt.getTime())
    }

    async function tags(): Promise<void> {
      const present = new Set<string>()
      await attempt(tagsPath(repository), async () => {
        for (const tag of await storage.list(tagsPath(repository)))
          if (isTag(tag)) await attempt(currentLink(repository, tag), () => readTag(tag, present))
      })
      for (const tag of known.tags.keys()) if (!present.has(tag)) lost.tags.push(tag)
    }
    async function readTag(tag: string, present: Set<string>): Promise<void> {
      const link = await storage.stat(currentLink(repository, tag))
      if (!link) return
      const before = known.tags.get(tag)
      if (!before && takenAway(currentLink(repository, tag), link.modifiedAt)) return
      if (before?.movedAt === link.modifiedAt.getTime()) return stays(tag, before.digest)
      const current = parseLink(await storage.get(currentLink(repository, tag)))
      const history = await reader.history(repository, tag)
      const { digest, at } = current ? { digest: current, at: link.modifiedAt.getTime() } : await newest(history)
      if (before && (!digest || (!current && at <= before.movedAt))) return stays(tag, before.digest)
      if (before && digest === before.digest) return stays(tag, digest) // a copy of the volume may have other times
      if (before && !treeWins(at, before.movedAt)) return
      if (!digest || !(await isServed(digest))) {
        broken.push(currentLink(repository, tag))
        return before && stays(tag, before.digest)
      }
      present.add(tag)
      found.tags.push({ name: tag, digest, movedAt: at, history })

      function stays(name: string, where: Digest): void {
        present.add(name)
        served.add(where)
      }
    }
    /** Where a tag whose `current/link` is damaged pointed last, as far as that is still there. */
    async function newest(history: TagMove[]): Promise<{ digest?: Digest; at: number }> {
      for (const move of history) if (await isServed(move.digest)) return move
      return { at: 0 }
    }
    /** What a tag points to stays, even if its own link is gone. */
    async function isServed(digest: Digest): Promise<boolean> {
      if (known.manifests.has(digest)) served.add(digest)
      return served.has(digest) || find(digest)
    }

    /** Manifests whose link is gone stay when an index that stays lists them and their bytes are there. */
    async function keepWhatIsNeeded(): Promise<void> {
      const gone = [...known.manifests.keys()].filter((digest) => !served.has(digest))
      if (gone.length > 0) await keepChildren(known, new Set(gone))
      for (const digest of gone) if (!served.has(digest)) lost.manifests.push(digest)
    }
    async function keepChildren(before: RepositoryFacts, gone: Set<Digest>): Promise<void> {
      for (const [digest, { mediaType }] of before.manifests) {
        if (!served.has(digest) || manifestKindOf(mediaType) !== 'index') continue
        const index = await manifests.find(repository, { digest })
        const children = (index && readDocument(index.content)?.references) ?? []
        for (const child of children)
          if (gone.has(child.digest) && (await storage.stat(blobPath(child.digest)))) served.add(child.digest)
        await breathe()
      }
    }
  }
}
