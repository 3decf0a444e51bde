import type { AccountFacts, AuditEntry } from '../../metadata/account-facts.ts'
import type { Log } from '../../platform/log.ts'

/** What is noted waits so long for more, and at most so much of it. */
const [waitMs, maxWaiting] = [1000, 5000]
/** The same is noted again only after this. */
const quietMs = 60_000
const maxQuiet = 10_000

export type Audit = ReturnType<typeof createAudit>

interface Deps {
  facts: AccountFacts
  log: Log
  clock: { now(): Date }
}

/** Notes sign-ins and refusals for the audit log, many at a time. What administrators do is recorded with what they change. */
export function createAudit({ facts, log, clock }: Deps) {
  let waiting: AuditEntry[] = []
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  const noted = new Map<string, number>()

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const entries = waiting
    waiting = []
    if (entries.length > 0)
      writing = writing
        .then(() => facts.audit.record(entries))
        .catch((error: unknown) => log.error('audit.failed', { entries: entries.length, error: String(error) }))
    return writing
  }

  return {
    /** With `once` the same is noted once a minute. */
    note(entry: AuditEntry, once?: string): void {
      const now = clock.now().getTime()
      if (once !== undefined) {
        const before = noted.get(`${entry.action} ${once}`)
        if (before !== undefined && now - before < quietMs) return
        if (noted.size >= maxQuiet) noted.clear()
        noted.set(`${entry.action} ${once}`, now)
      }
      if (waiting.length >= maxWaiting) return void log.warn('audit.full', { action: entry.action })
      waiting.push({ ...entry, actor: entry.actor.slice(0, 300) })
      timer ??= setTimeout(() => void flush(), waitMs).unref()
    },
    flush,
  }
}
