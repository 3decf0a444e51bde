import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Reference } from '../../oci/reference.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { ImmutabilityRule } from '../../rules/immutability.ts'
import type { QuotaRule } from '../../rules/quotas.ts'
import type { Run } from '../sql/commands.ts'
import { createReads } from '../sql/reads.ts'
import { type Steps, takeSteps } from '../sql/statement.ts'
import { createSqlStore, type SqlStore } from '../sql/store.ts'
import { damageAdvice, isDamaged } from './damaged.ts'
import { createExecute, dialect, migrate } from './dialect.ts'
import { lockFolder, makeDatabaseFile, makeFolder, putAside, syncFolder } from './folder.ts'
import { createMemory } from './memory.ts'
import { openWithReserve } from './reserve.ts'
import { createWriter } from './writer.ts'

interface SqliteOptions {
  /** The folder of the database and its lock. */
  folder: string
  clock: { now(): Date }
  /** Told about events right after their commit; what must not be missed is read from the log instead. */
  onEvents?: (events: RegistryEvent[]) => void
  /** Told how long each transaction took, from its commands to its being on the disk. */
  onCommit?: ((seconds: number) => void) | undefined
  /** Begins with an empty database and keeps the one that is there under another name. */
  anew?: boolean
  /** How long to wait for another process to let go of the folder; not at all by default. */
  lockWaitMs?: number | undefined
  /** The rules of the configuration for tags that do not change. */
  immutability?: readonly ImmutabilityRule[]
  /** The quotas of the configuration. */
  limits?: readonly QuotaRule[]
}

/**
 * Facts in SQLite: one thread writes (`writer.ts`), this one reads. Because no other process writes, manifests and tags may be
 * kept in memory; what a write changed is dropped before the write is acknowledged. `run` is for commands of other processes,
 * which read by `reader.ts`.
 * @throws when another process holds the folder
 */
export function createSqliteStore(options: SqliteOptions): SqlStore & { run: Run } {
  const { folder, clock, onEvents, onCommit, anew, lockWaitMs, immutability, limits } = options
  makeFolder(folder)
  const lock = lockFolder(folder, lockWaitMs)
  const path = join(folder, 'holdfast.db')
  if (anew) putAside(path, clock.now())
  const database = openWithReserve(folder, () => openDatabase(path))
  for (const name of [folder, dirname(folder), dirname(dirname(folder))]) syncFolder(name) // the store's own names
  const execute = createExecute(database)
  const read = <Result>(steps: Steps<Result>) => takeSteps(steps, execute)
  const reads = createReads(dialect)
  const memory = createMemory((repository, reference) => read(reads.manifest(repository, reference, '')))
  const committed = (events: RegistryEvent[]) => {
    memory.forgetChanged(events)
    onEvents?.(events)
  }
  const writer = createWriter(path, committed, onCommit)
  const { run } = writer

  async function close(): Promise<void> {
    await writer.close()
    database.close()
    lock.close()
  }

  const findManifest = async (repository: string, reference: Reference) => memory.find(repository, reference)
  return {
    ...createSqlStore({
      reads,
      textsOf: dialect.textsOf,
      read,
      run,
      clock,
      findManifest,
      forget: memory.forget,
      close,
      immutability,
      limits,
    }),
    run,
  }
}

function openDatabase(path: string): DatabaseSync {
  try {
    makeDatabaseFile(path)
    const database = new DatabaseSync(path)
    database.exec('pragma journal_mode = wal; pragma synchronous = full')
    migrate(database)
    database.exec('pragma query_only = 1; pragma cache_size = -4000; pragma shrink_memory') // making tables fills it
    return database
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const advice = isDamaged(cause) ? damageAdvice : 'can this user write to the folder and its files?'
    throw new Error(`Cannot open ${path}: ${reason}; ${advice}`, { cause })
  }
}
