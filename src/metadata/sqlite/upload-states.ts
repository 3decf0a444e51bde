import type { DatabaseSync } from 'node:sqlite'
import type { UploadStates } from '../upload-states.ts'
import type { Run } from './writer.ts'

/** The commands that write the states of uploads. */
export function createUploadStateCommands(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text)
  const add = sql(
    'insert into upload_state (path, version, changed_at, state) values (?, 1, ?, ?) on conflict do nothing',
  )
  const change = sql(
    'update upload_state set version = version + 1, changed_at = ?, state = ? where path = ? and version = ?',
  )
  const remove = sql('delete from upload_state where path = ?')

  return {
    setUploadState(path: string, state: string, expected: number, now: number): boolean {
      const { changes } = expected === 0 ? add.run(path, now, state) : change.run(now, state, path, expected)
      return changes === 1
    },
    deleteUploadState(path: string): void {
      remove.run(path)
    },
  }
}

/** Reads, and hands in, the states of uploads. */
export function createUploadStates(deps: { database: DatabaseSync; run: Run; now(): number }): UploadStates {
  const { database, run, now } = deps
  const find = database.prepare('select version, changed_at, state from upload_state where path = ?')
  const below = database.prepare(
    'select path from upload_state where path >= :prefix and substr(path, 1, length(:prefix)) = :prefix order by path',
  )
  return {
    async get(path) {
      const row = find.get(path)
      if (!row) return undefined
      return { version: Number(row.version), state: String(row.state), changedAt: new Date(Number(row.changed_at)) }
    },
    set: (path, state, expected) => run('setUploadState', path, state, expected, now()),
    delete: (path) => run('deleteUploadState', path),
    below: async (prefix) => below.all({ prefix }).map((row) => String(row.path)),
  }
}
