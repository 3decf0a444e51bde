import { setTimeout } from 'node:timers/promises'
import { type Digest, isDigest } from '../oci/digest.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'

interface Doomed {
  /** Keeps bytes that are about to be written from being deleted; false while that is going on. */
  rescue(digest: Digest): Promise<boolean>
}

const lookMs = 20
/** A deletion takes milliseconds; where one takes so long the client shall ask again. */
const waitMs = 20_000

/** The same driver, which keeps what it writes to the path of a blob from the collector: who comes while that deletes there waits. */
export function rescuing(driver: StorageDriver, doomed: Doomed): StorageDriver {
  async function rescue(path: string): Promise<void> {
    const digest = digestAt(path)
    if (!digest) return
    for (const end = performance.now() + waitMs; !(await doomed.rescue(digest)); await setTimeout(lookMs))
      if (performance.now() > end)
        throw Object.assign(new Error(`Cannot write ${digest}: its bytes are being deleted`), { code: 'EAGAIN' })
  }

  return {
    ...driver,
    async publish(from, to) {
      await rescue(to)
      await driver.publish(from, to)
    },
    async put(path, content, modifiedAt) {
      await rescue(path)
      await driver.put(path, content, modifiedAt)
    },
    async alias(path, to) {
      await rescue(to)
      await driver.alias(path, to)
    },
  }
}

/** The digest whose blob lies at a path: see `registry/paths.ts`. */
function digestAt(path: string): Digest | undefined {
  const [, algorithm, hex] = /^docker\/registry\/v2\/blobs\/(\w+)\/\w\w\/(\w+)\/data$/.exec(path) ?? []
  const text = `${algorithm}:${hex}`
  return isDigest(text) ? text : undefined
}
