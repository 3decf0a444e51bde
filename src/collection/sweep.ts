import { isDigest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import { algorithms, blobsPath } from '../volume/layout.ts'
import type { RunDeps } from './steps.ts'

const portion = 200

/** The folders blob files lie in. */
export const prefixes = algorithms.flatMap((algorithm) =>
  Array.from({ length: 256 }, (_, index) => `${algorithm}/${index.toString(16).padStart(2, '0')}`),
)

/**
 * Condemns the files below a prefix that nothing is known of, where they are older than the moment: a crash, or a full disk, came between their
 * publication and the database; gives how many.
 */
export async function sweepFiles(
  prefix: string,
  before: number,
  { facts, storage, breathe }: Pick<RunDeps, 'facts' | 'storage' | 'breathe'>,
): Promise<number> {
  const [algorithm] = prefix.split('/')
  const digests = (await storage.list(`${blobsPath}/${prefix}`)).map((hex) => `${algorithm}:${hex}`).filter(isDigest)
  let count = 0
  for (let from = 0; from < digests.length; from += portion) {
    const files = []
    for (const digest of await facts.unknown(digests.slice(from, from + portion))) {
      const found = await storage.stat(blobPath(digest))
      if (found && found.modifiedAt.getTime() < before) files.push({ digest, size: found.size })
    }
    if (files.length > 0) count += (await facts.condemnFiles(files)).length
    await breathe()
  }
  return count
}
