import type { RegistryEvent } from '../../registry/ports/events.ts'
import type { Statement } from './statement.ts'

/** All that the databases say differently in statements; what they say differently in the schema is in `schema.ts`. */
export interface Dialect {
  /** What to select from for the texts of a parameter that is an array; their column is `value`. */
  textsOf(parameter: string): string
  /** A condition: no event can become visible any more that comes before this one. */
  settled: string
  /**
   * Records events, in the order of their transactions. It comes before any other write of its transaction and once at most:
   * a number is given out together with the place in that order.
   */
  record(at: number, events: RegistryEvent[]): Statement[]
  /**
   * Keeps others from what has these names until the transaction ends: what is changed `alone`, and what must only not change
   * meanwhile, `together` with others who need just that. A command takes all its locks at once and first.
   */
  lock(names: { together?: string[]; alone?: string[] }): Statement[]
}
