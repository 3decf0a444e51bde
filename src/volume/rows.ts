import type { ManifestRow, Nameless, RowFacts } from '../metadata/row-facts.ts'
import type { VolumeFacts } from '../metadata/volume-facts.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { storedDigest } from '../registry/stored-digest.ts'
import type { Report } from './damage.ts'
import { readDocument } from './document.ts'
import { currentLink, layerLink, revisionLink } from './layout.ts'

const pageSize = 500
/** Manifests can be large. */
const manifestPage = 20

interface Deps {
  storage: StorageDriver
  facts: VolumeFacts
  rows: RowFacts
  /** Names of the repositories in the tree. */
  names: Set<string>
  report: Report
}

/**
 * Looks for rows of the database that contradict each other, before they are compared with the tree; gives the names of repositories
 * that it has content of, but not the name.
 */
export async function checkRows({ storage, facts, rows, names, report }: Deps): Promise<Set<string>> {
  const found = new Set<string>()
  await repositories()
  await references()
  await blobs()
  await manifests()
  return found

  async function repositories(): Promise<void> {
    const free: string[] = []
    for (const name of names) if (!(await rows.isKnown(name))) free.push(name)
    for (const lost of await rows.nameless()) {
      const name = (await nameOf(lost, free)) ?? `lost/${lost.id}`
      free.splice(0, free.length, ...free.filter((other) => other !== name))
      found.add(name)
      await report(name, `content of repository ${lost.id}, whose name the database lacks`, {
        how: 'give it back',
        run: () => rows.name(lost.id, name),
      })
    }
  }

  /** The repository of the tree that has most of the same links. */
  async function nameOf({ id: _, manifests: held, layers }: Nameless, free: string[]): Promise<string | undefined> {
    let best: { name: string | undefined; count: number } = { name: undefined, count: 0 }
    for (const name of free) {
      const links = [
        ...held.map((digest) => revisionLink(name, digest)),
        ...layers.map((digest) => layerLink(name, digest)),
      ]
      let count = 0
      for (const link of links) if (await storage.stat(link)) count++
      if (count > best.count) best = { name, count }
    }
    return best.name
  }

  /** Before manifests are taken in from the tree: they may get the numbers of those that are gone. */
  async function references(): Promise<void> {
    const count = await rows.countStrayReferences()
    if (count === 0) return
    await report(
      'database',
      `${count} manifests are gone, but what they referred to is still noted: references of manifests that are gone`,
      {
        how: 'forget them',
        run: () => rows.forgetStrayReferences(),
      },
    )
  }

  async function blobs(): Promise<void> {
    for (let last = ''; ;) {
      const page = await rows.unknownBlobs(last, pageSize)
      for (const digest of page) await blob(digest)
      if (page.length < pageSize) return
      last = page.at(-1)!
    }
  }
  async function blob(digest: Digest): Promise<void> {
    const problem = 'a blob of repositories that the database does not know'
    const data = await storage.stat(blobPath(digest))
    if (data && (await storedDigest(storage, blobPath(digest), algorithmOf(digest))) === digest)
      return report(digest, problem, {
        how: 'take it from its bytes',
        run: () => rows.knowBlob(digest, { size: data.size, storedAt: data.modifiedAt.getTime() }),
      })
    await report(digest, `${problem} and whose bytes are ${data ? 'damaged' : 'gone'}`, {
      how: 'take it out of them',
      run: () => rows.knowBlob(digest),
    })
  }

  async function manifests(): Promise<void> {
    for (let after = 0; ;) {
      const page = await rows.manifests(after, manifestPage)
      for (const row of page) await manifest(row)
      if (page.length < manifestPage) return
      after = page.at(-1)!.id
    }
  }
  async function manifest(row: ManifestRow): Promise<void> {
    const { id, repository, digest, content, pushedAt } = row
    const document = readDocument(content)
    if (!document) return // the scrub tells of it
    const noted = row.references && new Set(row.references)
    if (noted && document.references.some((one) => !noted.has(one.digest)))
      await report(`${repository}@${digest}`, 'the database lacks what the manifest refers to', {
        how: 'read the manifest again',
        run: () => rows.readAgain(id),
      })
    if (row.isListed) return
    const { references: _, ...more } = document
    await report(`${repository}@${digest}`, 'the database does not list it under its subject', {
      how: 'list it',
      run: async () =>
        void (await facts.takeIn(repository, {
          blobs: [],
          tags: [],
          manifests: [{ digest, content, pushedAt, ...more }],
        })),
    })
  }
}

/** Tells of tags that lead nowhere when tree and database agree. */
export async function checkStrayTags(rows: RowFacts, isTold: (path: string) => boolean, report: Report): Promise<void> {
  for (const { repository, name } of await rows.strayTags()) {
    const path = currentLink(repository, name)
    if (!isTold(path)) await report(path, `tag ${name} points to a manifest that the database lacks: push it again`)
  }
}
