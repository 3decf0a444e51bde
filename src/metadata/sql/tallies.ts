import { hash } from 'node:crypto'
import { forgetMs, pauseAfter, type Patience } from '../../platform/pauses.ts'
import type { Tallies } from '../tally-facts.ts'
import type { Run } from './commands.ts'
import type { Dialect } from './dialect.ts'
import { sql, type Steps } from './statement.ts'

interface Found {
  id: string
  count: number
  endsAt: number
}

const columns = 'id, count, until_at, ends_at'

/** The commands that count for all nodes. What is locked or written in one is in the order of its ids, so nobody waits in a circle. */
export function createTallyCommands({ lock, textsOf }: Dialect) {
  // The parts of a text have their places: id, step and end, in numbers of sixteen letters.
  const part = (place: number) => `cast(substr(value, ${place}, 16) as bigint)`
  const settle = `
    insert into tally (${columns})
    select substr(value, 1, 64), ${part(65)}, 0, ${part(81)} from ${textsOf('?1')} where true order by 1
    on conflict (id) do update set
      count = case when tally.ends_at <= ?2 then excluded.count else tally.count + excluded.count end,
      ends_at = case when tally.ends_at <= ?2 then excluded.ends_at else tally.ends_at end`
  const among = `id in (select value from ${textsOf('?1')})`

  return {
    *settleTallies(steps: { id: string; step: number; endsAt: number }[], now: number): Steps<Found[]> {
      const padded = (number: number) => String(number).padStart(16)
      const changed = steps.filter(({ step }) => step !== 0)
      if (changed.length > 0)
        yield sql(
          settle,
          changed.map(({ id, step, endsAt }) => id + padded(step) + padded(endsAt)),
          now,
        )
      const ids = steps.map(({ id }) => id)
      const rows = yield sql(`select id, count, ends_at from tally where ${among} and ends_at > ?2`, ids, now)
      return rows.map((row) => ({ id: String(row.id), count: Number(row.count), endsAt: Number(row.ends_at) }))
    },

    *beginTrial(all: (Patience & { id: string })[], now: number): Steps<number> {
      const ids = all.map(({ id }) => id)
      yield* lock({ alone: ids })
      const rows = yield sql(`select ${columns} from tally where ${among} and ends_at > ?2`, ids, now)
      const waits = Math.max(0, ...rows.map((row) => Number(row.until_at) - now))
      if (waits > 0) return waits
      for (const patience of all.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
        const failures = Number(rows.find(({ id }) => id === patience.id)?.count ?? 0) + 1
        const pause = pauseAfter(failures, patience)
        const until = pause > 0 ? now + pause : 0 // another node may be some milliseconds behind
        yield sql(
          `insert into tally (${columns}) values (?1, ?2, ?3, ?4)
           on conflict (id) do update set count = ?2, until_at = ?3, ends_at = ?4`,
          ...[patience.id, failures, until, now + forgetMs],
        )
      }
      return 0
    },

    *takeTrialBack(ids: string[], settled: string[]): Steps<void> {
      yield* lock({ alone: ids })
      yield sql(
        `update tally set count = case when count > 0 then count - 1 else 0 end, until_at = 0 where ${among}`,
        ids,
      )
      yield sql(`delete from tally where ${among}`, settled)
    },

    *sweepTallies(now: number): Steps<void> {
      yield sql('delete from tally where ends_at <= ?1', now)
    },
  }
}

interface Deps {
  run: Run
  /** Milliseconds by which all nodes go. */
  now(): number
}

/** What nodes count together, over a database that takes steps. */
export function createTallies({ run, now }: Deps): Tallies {
  return {
    async settle(steps) {
      const moment = now()
      const names = new Map(steps.map(({ name }) => [idOf(name), name]))
      const given = steps.map(({ name, step, leftMs }) => ({
        id: idOf(name),
        step,
        endsAt: moment + Math.ceil(leftMs),
      }))
      const found = await run('settleTallies', given, moment)
      return found.map(({ id, count, endsAt }) => ({ name: names.get(id)!, total: count, leftMs: endsAt - moment }))
    },
    begin: (all) =>
      run(
        'beginTrial',
        all.map((patience) => ({ ...patience, id: idOf(patience.name) })),
        now(),
      ),
    takeBack: (names, settled) => run('takeTrialBack', names.map(idOf), settled.map(idOf)),
    sweep: () => run('sweepTallies', now()),
  }
}

/** Names are of anybody's making. */
const idOf = (name: string) => hash('sha256', name)
