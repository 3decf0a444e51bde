import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import { createCommands } from '../sql/commands.ts'
import { type Row, type Statement, type Steps, takeSteps } from '../sql/statement.ts'
import { createExecute, dialect } from './dialect.ts'
import type { Batch, BatchResult, CommandResult } from './writer.ts'

// The one thread that writes. A batch of commands is one transaction and one fsync; each command is a savepoint of its own,
// so that one that fails takes nothing else with it.
// A command of the operator may write beside it (`accounts-alone.ts`): then it waits.
const database = new DatabaseSync(workerData as string, { timeout: 5000 })
database.exec(
  'pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma journal_size_limit = 67108864',
)
let events: RegistryEvent[] = []
const commands = createCommands(dialect) as unknown as Record<string, (...args: unknown[]) => Steps<unknown>>
const executeAny = createExecute(database)
const [begin, savepoint, release, commit] = ['begin immediate', 'savepoint command', 'release command', 'commit'].map(
  (text) => database.prepare(text),
) as [StatementSync, StatementSync, StatementSync, StatementSync]

function execute(statement: Statement): Row[] {
  if (statement.events) events.push(...statement.events)
  return executeAny(statement)
}

function runOne(name: string, args: unknown[]): CommandResult {
  const before = events.length
  savepoint.run()
  try {
    const value = takeSteps(commands[name]!(...args), execute)
    release.run()
    return { value }
  } catch (error) {
    events.length = before
    if (!database.isTransaction) throw error // SQLite gave up the whole transaction (disk full, I/O error)
    database.exec('rollback to command; release command')
    return { error: plainError(error) }
  }
}

function runBatch(batch: Batch): BatchResult {
  events = []
  try {
    begin.run()
    const results = batch.map(([name, args]) => runOne(name, args))
    commit.run()
    return { results, events }
  } catch (error) {
    if (database.isTransaction) database.exec('rollback')
    return { results: batch.map(() => ({ error: plainError(error) })), events: [] }
  }
}

/** An error as data, with the code the rest of the program knows a full disk by. */
function plainError(error: unknown): { message: string; code?: string } {
  const { message, errcode } = error as { message: string; errcode?: number }
  const full = errcode === 13 || errcode === 4874 // SQLITE_FULL, and SQLITE_IOERR_SHMSIZE: no room for the index of the log
  return full ? { message, code: 'ENOSPC' } : { message }
}

parentPort?.on('message', (message: Batch | 'close') => {
  if (message === 'close') {
    database.close()
    parentPort?.close()
  } else parentPort?.postMessage(runBatch(message))
})
