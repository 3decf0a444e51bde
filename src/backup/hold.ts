import { hostname } from 'node:os'
import type { Vault } from '../auth/vault.ts'

/** The collector deletes no file while an entry of this kind lasts: `heldByBackup` in metadata/sql/collection-conditions.ts. */
const kind = 'backup'
const id = 'hold'
const leaseMs = 300_000
const renewMs = 30_000

interface Deps {
  vault: Vault
  clock: { now(): Date }
}

interface Holder {
  host: string
  pid: number
}

/**
 * Keeps bytes that the database names now from being deleted, while `work` copies them. It is a lease: who is killed holds nothing
 * for long, and can begin anew at once on the same machine. `expectHeld` throws when the lease could not be kept.
 * @throws Error when another backup is under way
 */
export async function withHold<Result>(
  { vault, clock }: Deps,
  work: (expectHeld: () => void) => Promise<Result>,
): Promise<Result> {
  const now = () => clock.now().getTime()
  const end = () => new Date(now() + leaseMs)
  const text = JSON.stringify({ host: hostname(), pid: process.pid } satisfies Holder)
  if (!(await vault.add(kind, id, { text, endsAt: end() }))) {
    const present = await vault.get(kind, id)
    if (present && isAlive(JSON.parse(present.text) as Holder)) throw new Error(busy(present.text))
    await vault.delete(kind, id)
    if (!(await vault.add(kind, id, { text, endsAt: end() }))) throw new Error(busy(text))
  }
  let heldUntil = now() + leaseMs
  const timer = setInterval(() => {
    const until = end()
    vault.extend(kind, id, until).then(
      () => (heldUntil = until.getTime()),
      () => {}, // tried again; `expectHeld` tells when that was for too long
    )
  }, renewMs)
  try {
    return await work(() => {
      if (now() > heldUntil) throw new Error('the database was away for too long; begin the backup anew')
    })
  } finally {
    clearInterval(timer)
    await vault.delete(kind, id)
  }
}

function isAlive({ host, pid }: Holder): boolean {
  if (host !== hostname()) return true // nobody can say
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function busy(text: string): string {
  const { host, pid } = JSON.parse(text) as Holder
  return `another backup of this registry is under way (process ${pid} on ${host}); if that was killed, wait five minutes`
}
