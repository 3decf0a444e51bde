import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Vault } from '../auth/vault.ts'
import type { AccountFacts } from './account-facts.ts'
import { createAccountFacts } from './sql/account-facts.ts'
import { createCommands, type Run } from './sql/commands.ts'
import { schemaVersion } from './sql/schema.ts'
import { type Steps, takeSteps } from './sql/statement.ts'
import { createVault } from './sql/vault.ts'

/** How long a command waits for a registry that writes at the same moment. */
const waitMs = 10_000

interface Place {
  /** A PostgreSQL database; undefined: SQLite in the folder. */
  url: string | undefined
  folder: string
  clock: { now(): Date }
}

interface Opened {
  facts: AccountFacts
  vault: Vault
  /** The identity of the database, made with the first question. */
  identity(): Promise<string>
  close(): Promise<void>
}

/**
 * The accounts of a registry, and small facts beside them, for commands of the operator, beside registries that run or where none
 * does. That is safe because a change is one transaction from an expected version, and because registries ask for the version
 * before they believe what they remember.
 * @throws Error that says what to do
 */
export async function openAccounts({ url, folder, clock }: Place): Promise<Opened> {
  const now = () => clock.now().getTime()
  if (url !== undefined) {
    const { createPostgresStore } = await import('./postgres/store.ts')
    const store = await createPostgresStore({ url, clock })
    return { facts: store.accounts, vault: store.vault, identity: store.volume.identity, close: store.close }
  }
  const { DatabaseSync } = await import('node:sqlite')
  const { createExecute, dialect, migrate, versionOf } = await import('./sqlite/dialect.ts')
  const { lockFolder, makeDatabaseFile, makeFolder } = await import('./sqlite/folder.ts')
  const path = join(folder, 'holdfast.db')
  makeFolder(folder)
  // A database that is to be made, or brought to a newer schema, must be nobody else's meanwhile.
  const isNew = !existsSync(path)
  makeDatabaseFile(path)
  const database = new DatabaseSync(path, { timeout: waitMs })
  try {
    if (isNew || versionOf(database) < schemaVersion) {
      const lock = lockFolder(folder)
      database.exec('pragma journal_mode = wal; pragma synchronous = full')
      migrate(database)
      lock.close()
    } else if (versionOf(database) > schemaVersion) throw new Error(`${path} is of a newer Holdfast: use that one`)
    database.exec('pragma synchronous = full; pragma foreign_keys = on')
  } catch (error) {
    database.close()
    throw error
  }
  const execute = createExecute(database)
  const commands = createCommands(dialect) as unknown as Record<string, (...args: unknown[]) => Steps<unknown>>
  const run = async (name: string, ...args: unknown[]) => {
    database.exec('begin immediate')
    try {
      const value = takeSteps(commands[name]!(...args), execute)
      database.exec('commit')
      return value
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      throw error
    }
  }
  const deps = { read: <T>(steps: Steps<T>) => takeSteps(steps, execute), run: run as Run, now }
  return {
    facts: createAccountFacts(deps),
    vault: createVault(deps),
    identity: () => deps.run('identify', randomUUID()),
    close: async () => database.close(),
  }
}
