import { dirname } from 'node:path/posix'
import { isDigest } from '../oci/digest.ts'
import { blobPath } from '../registry/paths.ts'
import type { Side } from './content.ts'
import { withFacts } from './facts.ts'
import { listSnapshots, readSnapshot, removeSnapshot, withDatabase } from './snapshots.ts'

const blobsPath = 'docker/registry/v2/blobs'
const portion = 500
const untouched = 'Backed up, but nothing old was removed'

/**
 * Removes all snapshots but the newest, and then the blobs that none of those names.
 * @throws Error where one that stays cannot be read: then nothing is removed
 */
export async function prune(place: Side, keep: number): Promise<void> {
  const names = await listSnapshots(place.raw)
  await withAll(place, names.slice(-keep), [], async (known) => {
    for (const name of names.slice(0, -keep)) await removeSnapshot(place.raw, name)
    for (const algorithm of ['sha256', 'sha512'])
      for (const prefix of await place.readable.list(`${blobsPath}/${algorithm}`))
        await pruneBlobs(place, `${algorithm}/${prefix}`, known)
  })
}

async function pruneBlobs({ readable }: Side, prefix: string, known: Known[]): Promise<void> {
  const [algorithm] = prefix.split('/')
  const found = await readable.list(`${blobsPath}/${prefix}`)
  const digests = found.map((hex) => `${algorithm}:${hex}`).filter(isDigest)
  for (let from = 0; from < digests.length; from += portion) {
    const some = digests.slice(from, from + portion)
    const needed = new Set((await Promise.all(known.map((ask) => ask(some)))).flatMap((set) => [...set]))
    for (const digest of some) if (!needed.has(digest)) await readable.delete(dirname(blobPath(digest)))
  }
}

type Known = Parameters<Parameters<typeof withFacts>[1]>[0]['known']

/** Opens the databases of all these snapshots together. */
async function withAll(
  place: Side,
  names: string[],
  known: Known[],
  work: (known: Known[]) => Promise<void>,
): Promise<void> {
  const [name, ...others] = names
  if (name === undefined) return work(known)
  const snapshot = await readSnapshot(place.raw, name).catch(notPruned)
  await withDatabase(place.raw, snapshot, (file) =>
    withFacts(file, (facts) => withAll(place, others, [...known, facts.known], work)),
  ).catch(notPruned)
}

function notPruned(error: Error): never {
  if (error.message.startsWith(untouched)) throw error
  throw new Error(`${untouched}: ${error.message}; remove its files in holdfast/snapshots if it is of no use`, {
    cause: error,
  })
}
