import { algorithmOf, type Digest } from '../oci/digest.ts'
import { isDamage } from '../platform/damage.ts'
import { blobPath, quarantinePath } from '../registry/paths.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'
import { storedDigest } from '../registry/stored-digest.ts'
import type { Report } from './damage.ts'
import { algorithms, blobsPath, digestIn, isEmptyDigest } from './layout.ts'
import type { Remark } from './strays.ts'

interface Deps {
  storage: StorageDriver
  metadata: Pick<MetadataStore, 'blobs'>
  report: Report
  remark: Remark
  /** Corrects the size the database has for a blob. */
  resize(digest: Digest, size: number): Promise<void>
}

const stray = 'are no blob, or not in the place of one; remove it when you like'

/** Looks at every blob file, by its name and size: reading them all is the scrub's work. */
export async function checkBlobFiles({ storage, metadata, report, remark, resize }: Deps): Promise<void> {
  for (const algorithm of await storage.list(blobsPath)) {
    const folder = `${blobsPath}/${algorithm}`
    if (!algorithms.some((name) => name === algorithm)) {
      if (await storage.stat(folder)) await remark(folder, stray)
      else await report(folder, `a digest algorithm that is not served: ${algorithm}`)
      continue
    }
    for (const prefix of await storage.list(folder))
      for (const name of await storage.list(`${folder}/${prefix}`)) {
        const path = `${folder}/${prefix}/${name}`
        const digest = digestIn(algorithm as 'sha256', name)
        if (!digest || !name.startsWith(prefix)) await remark(path, stray)
        else await check(digest, path).catch((error: unknown) => report(path, `cannot be read: ${String(error)}`))
      }
  }

  async function check(digest: Digest, folder: string): Promise<void> {
    for (const name of await storage.list(folder))
      if (name !== 'data')
        await report(`${folder}/${name}`, 'left over from a write that was cut off', {
          how: 'remove it',
          run: () => storage.delete(`${folder}/${name}`),
        })
    const path = blobPath(digest)
    const data = await storage.stat(path)
    if (!data) return
    const known = await metadata.blobs.findAnywhere(digest)
    const isCut = data.size === 0 && !isEmptyDigest(digest)
    if (!isCut && (!known || known.size === data.size)) return
    const problem = isCut ? 'is empty' : `has ${data.size} bytes, the database says ${known?.size}`
    const found = await storedDigest(storage, path, algorithmOf(digest)).catch((error: unknown) => {
      if (!isDamage(error)) throw error
    })
    if (found === digest)
      return report(path, problem, { how: 'correct the database', run: () => resize(digest, data.size) })
    await report(path, problem, {
      how: 'move it to holdfast/quarantine',
      run: () => storage.publish(path, quarantinePath(digest)),
    })
  }
}
