import type { RegistryEvent } from '../../registry/ports/events.ts'

/** An array is the parameter of a `textsOf`. */
export type Value = string | number | Uint8Array | string[] | null
export type Row = Record<string, unknown>

/** One statement of SQL with its parameters, written `?1`, `?2`, …; `events` are what it records. */
export interface Statement {
  text: string
  values: Value[]
  events?: RegistryEvent[]
}

/**
 * What is asked of a database, one statement after the other: a generator that yields a statement, is given its rows and
 * returns what came of them. Who runs it decides whether it waits, so that every database shares the same steps.
 */
export type Steps<Result> = Generator<Statement, Result, Row[]>

/** A statement for a step: `const [row] = yield sql('select …', name)`. */
export function sql(text: string, ...values: Value[]): Statement {
  return { text, values }
}

/** Takes the steps with a database that answers at once. */
export function takeSteps<Result>(steps: Steps<Result>, execute: (statement: Statement) => Row[]): Result {
  let step = steps.next()
  while (!step.done) step = steps.next(execute(step.value))
  return step.value
}
