import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ImmutabilityRule } from '../../rules/immutability.ts'
import type { QuotaRule } from '../../rules/quotas.ts'
import { manifestOf, createReads } from '../sql/reads.ts'
import type { Run } from '../sql/commands.ts'
import { type Steps, takeSteps } from '../sql/statement.ts'
import { createSqlStore, type SqlStore } from '../sql/store.ts'
import { createExecute, dialect } from './dialect.ts'
import { createMemory } from './memory.ts'

interface ReaderOptions {
  /** The folder of the database, which another process has opened to write. */
  folder: string
  clock: { now(): Date }
  /** Has a command run by that process. */
  run: Run
  /**
   * What is in memory holds for one term of that process; 0: nothing may be kept now, because it changes facts without events,
   * as when it takes in what another registry left.
   */
  term(): number
  /** The rules of the configuration for tags that do not change. */
  immutability?: readonly ImmutabilityRule[]
  /** The quotas of the configuration. */
  limits?: readonly QuotaRule[]
}

/** Longer than SQLite is ever busy where one process writes. */
const busyMs = 10_000
/** So many changes are looked at one by one. */
const mostEvents = 500

/**
 * Facts in SQLite that another process writes. The database itself says whether anybody has written since the last look
 * (`data_version`, some microseconds), and the events what; so what was acknowledged anywhere is seen here at once.
 * @throws Error when there is no database
 */
export function createSqliteReader({ folder, clock, run, term, immutability, limits }: ReaderOptions): SqlStore {
  const database = new DatabaseSync(join(folder, 'holdfast.db'), { readOnly: true, timeout: busyMs })
  database.exec('pragma cache_size = -4000')
  const version = database.prepare('pragma data_version')
  version.setReturnArrays(true) // a quarter cheaper
  const execute = createExecute(database)
  const read = <Result>(steps: Steps<Result>) => takeSteps(steps, execute)
  const reads = createReads(dialect)
  const memory = createMemory((repository, reference) => read(reads.manifest(repository, reference, '')))
  let known: { term: number; version: unknown; event: number } = { term: 0, version: undefined, event: 0 }

  /** Forgets what was changed since the last look. */
  function catchUp(now: number): void {
    const [present] = version.get() as unknown as unknown[]
    if (present === known.version && now === known.term) return
    const last = read(reads.lastEvent())
    const isFew = now === known.term && last - known.event <= mostEvents
    const events = isFew ? read(reads.events(known.event, mostEvents)) : []
    // Events are numbered without a gap, but old ones are deleted.
    if (isFew && events.length === last - known.event) memory.forgetChanged(events)
    else memory.forgetAll()
    known = { term: now, version: present, event: last }
  }

  return createSqlStore({
    textsOf: dialect.textsOf,
    reads,
    read,
    run,
    clock,
    async findManifest(repository, reference) {
      const now = term()
      if (now > 0) {
        catchUp(now)
        return memory.find(repository, reference)
      }
      const row = read(reads.manifest(repository, reference, ''))
      return row && manifestOf(row, repository)
    },
    forget: memory.forget,
    immutability,
    limits,
    close: async () => database.close(),
  })
}
