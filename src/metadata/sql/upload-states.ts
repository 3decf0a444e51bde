import type { UploadStates } from '../upload-states.ts'
import type { Run } from './commands.ts'
import { sql, type Steps } from './statement.ts'

/** The commands that write the states of uploads. */
export const uploadStateCommands = {
  *setUploadState(path: string, state: string, expected: number, now: number): Steps<boolean> {
    const changed =
      expected === 0
        ? yield sql(
            `insert into upload_state (path, version, changed_at, state) values (?1, 1, ?2, ?3)
             on conflict do nothing returning version`,
            ...[path, now, state],
          )
        : yield sql(
            `update upload_state set version = version + 1, changed_at = ?2, state = ?3
             where path = ?1 and version = ?4 returning version`,
            ...[path, now, state, expected],
          )
    return changed.length === 1
  },
  *deleteUploadState(path: string): Steps<void> {
    yield sql('delete from upload_state where path = ?1', path)
  },
}

interface Deps {
  read<Result>(steps: Steps<Result>): Result | Promise<Result>
  run: Run
  now(): number
}

/** The states of uploads, over a database that takes steps. */
export function createUploadStates({ read, run, now }: Deps): UploadStates {
  return {
    get: async (path) => read(find(path)),
    set: (path, state, expected) => run('setUploadState', path, state, expected, now()),
    delete: (path) => run('deleteUploadState', path),
    below: async (prefix) => read(below(prefix)),
  }
}

function* find(path: string): Steps<{ version: number; state: string; changedAt: Date } | undefined> {
  const [row] = yield sql('select version, changed_at, state from upload_state where path = ?1', path)
  return row && { version: Number(row.version), state: String(row.state), changedAt: new Date(Number(row.changed_at)) }
}

function* below(prefix: string): Steps<string[]> {
  const text = 'select path from upload_state where path >= ?1 and substr(path, 1, length(?1)) = ?1 order by path'
  return (yield sql(text, prefix)).map(({ path }) => String(path))
}
