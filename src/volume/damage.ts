import type { Digest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { readDocument } from './document.ts'
import {
  algorithms,
  currentLink,
  digestIn,
  indexLink,
  isTag,
  layerLink,
  layersPath,
  parseLink,
  revisionLink,
  revisionsPath,
  tagPath,
  tagsPath,
} from './layout.ts'
import type { TreeReader } from './read.ts'
import type { TreeWriter } from './write.ts'

/** Tells of damage at a path, and how it is mended if it can be. */
export type Report = (path: string, problem: string, mend?: { how: string; run(): Promise<void> }) => Promise<void>

interface Deps {
  storage: StorageDriver
  reader: TreeReader
  writer: TreeWriter
  metadata: Pick<MetadataStore, 'manifests'>
  /** The layers of a repository that the database has: their links are compared with it later. */
  layersOf(repository: string): Promise<Set<Digest>>
  /** Whether a backup gave a blob its bytes back; undefined where none is asked. */
  mend: ((digest: Digest) => Promise<boolean>) | undefined
  report: Report
}

/** Reads every link of a repository and all it leads to, and reports what is not as registry:2 would have written it. */
export function createDamageCheck({ storage, reader, writer, metadata, layersOf, mend, report }: Deps) {
  const exists = async (path: string) => (await storage.stat(path)) !== undefined
  /** Reports what cannot be read, and goes on. */
  async function attempt(path: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await report(path, `cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** Rewrites a link with its own time. */
  async function rewrite(path: string, digest: Digest): Promise<void> {
    const found = await storage.stat(path)
    await storage.put(path, Buffer.from(digest), found?.modifiedAt ?? new Date(0))
  }

  /** Checks a link whose path says what it holds; gives the digest it leads to. */
  async function checkLink(path: string, digest: Digest): Promise<Digest | undefined> {
    const content = await storage.get(path)
    if (!content) return undefined
    const held = parseLink(content)
    if (held && content.length === held.length) {
      if (held === digest || digest.startsWith('sha512:')) return held
    }
    const problem = held === digest ? 'has white space around its digest' : nameOf(content)
    await report(path, `link ${problem}`, { how: 'write its digest', run: () => rewrite(path, digest) })
    return digest
  }

  /** What a crash left under a temporary name. */
  async function checkLeftovers(folder: string): Promise<void> {
    for (const name of await storage.list(folder))
      if (name.endsWith('.tmp'))
        await report(`${folder}/${name}`, 'left over from a write that was cut off', {
          how: 'remove it',
          run: () => storage.delete(`${folder}/${name}`),
        })
  }

  async function checkLayers(repository: string): Promise<void> {
    const folder = layersPath(repository)
    await checkNames(folder)
    for (const digest of await reader.digestsIn(folder)) {
      const path = layerLink(repository, digest)
      await attempt(path, async () => {
        await checkLeftovers(folderOf(path))
        const target = await checkLink(path, digest)
        if (!target || (await exists(blobPath(target)))) return
        await report(path, 'leads to a blob whose bytes are gone', {
          how: 'remove the link',
          run: () => storage.delete(path),
        })
      })
    }
  }

  /** Folders that are no digest, such as the tarsums of registry 2.0. */
  async function checkNames(folder: string): Promise<void> {
    for (const algorithm of await storage.list(folder)) {
      if (!algorithms.some((name) => name === algorithm)) {
        await report(`${folder}/${algorithm}`, `a digest algorithm that is not served: ${algorithm}`)
        continue
      }
      for (const name of await storage.list(`${folder}/${algorithm}`))
        if (!digestIn(algorithm as 'sha256', name)) await report(`${folder}/${algorithm}/${name}`, 'is no digest')
    }
  }

  async function checkRevisions(repository: string): Promise<void> {
    const folder = revisionsPath(repository)
    await checkNames(folder)
    for (const digest of await reader.digestsIn(folder)) {
      const path = revisionLink(repository, digest)
      await attempt(path, async () => {
        await checkLeftovers(folderOf(path))
        if (await checkLink(path, digest)) await checkManifest(repository, digest)
      })
    }
  }

  async function checkManifest(repository: string, digest: Digest): Promise<void> {
    const path = blobPath(digest)
    const found = await reader.manifest(digest)
    if (!found) {
      const known = await metadata.manifests.find(repository, { digest })
      const problem = (await exists(path)) ? 'manifest is damaged' : `manifest of ${repository} is missing`
      const { modifiedAt = new Date(0) } = (await storage.stat(revisionLink(repository, digest))) ?? {}
      return report(
        path,
        problem,
        known && { how: 'write it from the database', run: () => storage.put(path, known.content, modifiedAt) },
      )
    }
    for (const { digest: needed, kind } of readDocument(found.manifest.content)?.references ?? []) {
      if (kind === 'child') await checkChild(repository, digest, needed)
      else if (!(await exists(blobPath(needed)))) await checkLacking(repository, digest, needed)
      else if (!(await exists(layerLink(repository, needed))) && !(await isKnown(repository, needed)))
        await report(
          layerLink(repository, needed),
          `was deleted, but manifest ${digest} needs it: push the image again`,
        )
    }
  }

  let known: { repository: string; layers: Set<Digest> } | undefined
  async function isKnown(repository: string, layer: Digest): Promise<boolean> {
    if (known?.repository !== repository) known = { repository, layers: await layersOf(repository) }
    return known.layers.has(layer)
  }

  /** Bytes that were already gone when the registry was started: it took them for deleted. */
  async function checkLacking(repository: string, digest: Digest, needed: Digest): Promise<void> {
    const path = revisionLink(repository, digest)
    const problem = `manifest lacks ${needed}`
    if (!(await mend?.(needed))) return report(path, `${problem}: push the image again`)
    await report(path, problem, {
      how: 'take it from the backup',
      run: () => writer.layer(repository, needed, new Date(0)),
    })
  }

  async function checkChild(repository: string, index: Digest, child: Digest): Promise<void> {
    if (await exists(revisionLink(repository, child))) return
    if (await exists(layerLink(repository, child))) return // pushed as a blob
    const problem = `a manifest that ${index} lists has no link`
    if (!(await offerLink(repository, child, problem)))
      await report(revisionLink(repository, index), `index lacks ${child}: push it again`)
  }

  /** A manifest that something needs but no link names: the link is written where its bytes are there. */
  async function offerLink(repository: string, digest: Digest, problem: string): Promise<boolean> {
    const known = await metadata.manifests.find(repository, { digest })
    const stored = known ? undefined : await reader.manifest(digest)
    const manifest = known ?? (stored && { ...stored.manifest, content: Buffer.from(stored.manifest.content) })
    if (!manifest) return false
    const { modifiedAt } = (await storage.stat(blobPath(digest))) ?? { modifiedAt: new Date(0) }
    const run = () => writer.manifest(repository, manifest, modifiedAt)
    await report(revisionLink(repository, digest), problem, { how: 'write the link', run })
    return true
  }

  async function checkTags(repository: string): Promise<void> {
    for (const tag of await storage.list(tagsPath(repository))) {
      const path = tagPath(repository, tag)
      if (!isTag(tag)) await report(path, 'cannot be a tag')
      else await attempt(path, () => checkTag(repository, tag))
    }
  }

  async function checkTag(repository: string, tag: string): Promise<void> {
    const path = currentLink(repository, tag)
    for (const folder of ['current', 'index']) await checkLeftovers(`${tagPath(repository, tag)}/${folder}`)
    await checkNames(`${tagPath(repository, tag)}/index`)
    const history = await reader.history(repository, tag)
    for (const { digest } of history) {
      const link = indexLink(repository, tag, digest)
      await checkLeftovers(folderOf(link))
      await checkLink(link, digest)
    }
    const content = await storage.get(path)
    const current = parseLink(content)
    if (!current) return mendCurrent(repository, tag, content)
    if (content!.length !== current.length)
      await report(path, 'link has white space around its digest', {
        how: 'write its digest',
        run: () => rewrite(path, current),
      })
    if (!history.some((move) => move.digest === current)) {
      const { modifiedAt } = (await storage.stat(path))!
      const link = indexLink(repository, tag, current)
      await report(link, `the history of tag ${tag} lacks where it points`, {
        how: 'write the link',
        run: () => storage.put(link, Buffer.from(current), modifiedAt),
      })
    }
    if (await exists(revisionLink(repository, current))) return
    if (!(await offerLink(repository, current, `tag ${tag} points to a manifest without a link`)))
      await report(path, `tag ${tag} leads nowhere: push it again`)
  }

  /** A tag whose `current/link` says nothing points to where the database has it, else to the last manifest that is there. */
  async function mendCurrent(repository: string, tag: string, content: Buffer | undefined): Promise<void> {
    const path = currentLink(repository, tag)
    const problem = `link of tag ${tag} ${content ? nameOf(content) : 'is missing'}`
    const digest = (await metadata.manifests.find(repository, { tag }))?.digest ?? (await newest(repository, tag))
    await report(path, problem, digest && { how: `point it to ${digest}`, run: () => rewrite(path, digest) })
  }
  async function newest(repository: string, tag: string): Promise<Digest | undefined> {
    for (const { digest } of await reader.history(repository, tag))
      if ((await exists(revisionLink(repository, digest))) && (await reader.manifest(digest))) return digest
    return undefined
  }

  return async function checkRepository(repository: string): Promise<void> {
    await attempt(layersPath(repository), () => checkLayers(repository))
    await attempt(revisionsPath(repository), () => checkRevisions(repository))
    await attempt(tagsPath(repository), () => checkTags(repository))
  }
}

const folderOf = (link: string) => link.slice(0, -'/link'.length)

/** How a link that holds no digest of its own looks. */
function nameOf(content: Buffer): string {
  if (content.length === 0) return 'is empty'
  return parseLink(content) ? 'holds another digest' : 'holds no digest'
}
