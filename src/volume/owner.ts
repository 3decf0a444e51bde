import type { VolumeFacts } from '../metadata/volume-facts.ts'
import type { Log } from '../platform/log.ts'
import type { StorageDriver } from '../registry/ports/storage.ts'

interface Deps {
  storage: StorageDriver
  facts: VolumeFacts
  log: Log
  clock: { now(): Date }
}

const path = 'holdfast/owner.json'
const sayMs = 60_000
/** Who has not said for so long that a volume is theirs is gone. */
const goneMs = 180_000

/**
 * A volume that more than one machine reaches says which database it belongs to: two databases on one would each take what the other
 * pushes for another registry's, and its garbage for its own.
 */
export function createOwner({ storage, facts, log, clock }: Deps) {
  let timer: NodeJS.Timeout | undefined
  let identity: Promise<string> | undefined
  /** Asked for once: it is a transaction. */
  function ours(): Promise<string> {
    identity ??= facts.identity()
    identity.catch(() => (identity = undefined))
    return identity
  }

  /** What keeps us from the volume; undefined when nothing does. */
  async function objection(): Promise<string | undefined> {
    const content = await storage.get(path)
    const { database, at } = content ? parse(content) : {}
    const ageMs = clock.now().getTime() - Date.parse(at ?? '')
    if (database === undefined || !(ageMs < goneMs) || database === (await ours())) return undefined
    return `another Holdfast with another database is using this storage (${path} says so since ${at}): configure the same holdfast.database.url, or another bucket or folder; if that one is gone for good, wait three minutes`
  }

  async function say(): Promise<void> {
    const problem = await objection()
    if (problem) return log.error('volume.claimed', { problem })
    const now = clock.now()
    await storage.put(path, Buffer.from(JSON.stringify({ database: await ours(), at: now.toISOString() })), now)
  }
  const saySo = () => say().catch((error: unknown) => log.error('volume.not-claimed', { error: String(error) }))

  return {
    /** @throws Error when the volume is another's */
    async expectOurs(): Promise<void> {
      const problem = await objection()
      if (problem) throw new Error(problem)
    },
    /** Says that the volume is ours, and goes on saying so. */
    async begin(): Promise<void> {
      timer = setInterval(() => void saySo(), sayMs).unref()
      await saySo()
    },
    /** Gives it free. */
    async end(): Promise<void> {
      clearInterval(timer)
      if ((await objection()) === undefined) await storage.delete(path)
    },
  }
}

function parse(content: Buffer): { database?: string; at?: string } {
  try {
    return JSON.parse(content.toString())
  } catch {
    return {}
  }
}
