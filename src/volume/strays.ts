import type { RowFacts } from '../metadata/row-facts.ts'
import type { Digest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { algorithms, blobsPath, digestIn, repositoriesPath } from './layout.ts'

/** Tells of a file that is no damage, and what may be done about it. */
export type Remark = (path: string, remark: string) => Promise<void>

/** What there is above blobs and repositories. */
const above: Record<string, string[]> = {
  '': ['docker', 'holdfast'],
  docker: ['registry'],
  'docker/registry': ['v2'],
  'docker/registry/v2': ['blobs', 'repositories'],
}
const ofRepositories = ['_layers', '_manifests', '_uploads']
const portion = 200

interface Deps {
  storage: StorageDriver
  rows: RowFacts
  /** Names of the repositories in the tree. */
  names: Set<string>
  /** What only the tree knows. */
  isInTree(digest: Digest): boolean
  remark: Remark
}

/** Tells of files that neither a registry nor the database knows. What is not at all what it should be the other checks tell. */
export async function findStrays({ storage, rows, names, isInTree, remark }: Deps): Promise<void> {
  for (const [folder, known] of Object.entries(above)) await others(folder, (name) => known.includes(name))
  await repositories()
  for (const algorithm of algorithms) await blobs(algorithm)

  async function repositories(): Promise<void> {
    const folders = new Set([''])
    for (const parts of [...names].map((name) => name.split('/')))
      for (let count = 1; count <= parts.length; count++) folders.add(parts.slice(0, count).join('/'))
    for (const folder of folders)
      await others(
        folder === '' ? repositoriesPath : `${repositoriesPath}/${folder}`,
        (name) => ofRepositories.includes(name) || folders.has(folder === '' ? name : `${folder}/${name}`),
      )
  }

  /** Files in a folder where only these are expected; a folder may be anybody's. */
  async function others(folder: string, isKnown: (name: string) => boolean): Promise<void> {
    for (const name of await storage.list(folder)) {
      const path = folder === '' ? name : `${folder}/${name}`
      if (!isKnown(name) && (await storage.stat(path))) await remark(path, 'nobody knows; remove it when you like')
    }
  }

  async function blobs(algorithm: (typeof algorithms)[0]): Promise<void> {
    const folder = `${blobsPath}/${algorithm}`
    await others(folder, (name) => /^[0-9a-f]{2}$/.test(name))
    for (const prefix of await storage.list(folder)) {
      const digests = (await storage.list(`${folder}/${prefix}`)).flatMap((name) => digestIn(algorithm, name) ?? [])
      for (let from = 0; from < digests.length; from += portion)
        for (const digest of await rows.strangers(digests.slice(from, from + portion)))
          if (!isInTree(digest) && (await storage.stat(blobPath(digest))))
            await remark(
              blobPath(digest),
              'no repository and no manifest knows; the collection takes it once it is a day old',
            )
    }
  }
}
