import type { CollectionFacts } from '../../metadata/collection-facts.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Log } from '../../platform/log.ts'

const flushMs = 60_000
/** More manifests than that are not pulled in a minute, or it does not matter. */
const most = 10_000

/** Counts pulls of manifests in memory and notes them once a minute: nothing is written for a pull. */
export function createPulls({ facts, log }: { facts: CollectionFacts; log: Log }) {
  let pulled = new Map<string, Set<Digest>>()
  let count = 0
  let timer: NodeJS.Timeout | undefined

  async function flush(): Promise<void> {
    if (count === 0) return
    const all = [...pulled].flatMap(([repository, digests]) => [...digests].map((digest) => ({ repository, digest })))
    pulled = new Map()
    count = 0
    for (let from = 0; from < all.length; from += 200) await facts.countPulls(all.slice(from, from + 200))
  }

  return {
    onManifestPull(repository: string, digest: Digest): void {
      const digests = pulled.get(repository)
      if (count >= most || digests?.has(digest)) return
      count++
      if (digests) digests.add(digest)
      else pulled.set(repository, new Set([digest]))
    },
    async start(): Promise<void> {
      const told = (error: unknown) => log.warn('gc.pulls-not-counted', { error: String(error) })
      timer = setInterval(() => void flush().catch(told), flushMs).unref()
    },
    async stop(): Promise<void> {
      clearInterval(timer)
      await flush().catch(() => {}) // the database is away, and a pull is no more than a pull
    },
    flush,
  }
}
