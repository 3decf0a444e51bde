import type { Patience } from '../platform/pauses.ts'

/** What is to be added to somebody's window; 0 only asks. */
export interface TallyStep {
  name: string
  step: number
  /** Milliseconds until the window ends, where it begins with this. */
  leftMs: number
}

/** What is counted of a window by all together. */
export interface TallyTotal {
  name: string
  total: number
  leftMs: number
}

/** What nodes count together. Names may be anything of any length. Moments are those of the database, so no clock of a node matters. */
export interface Tallies {
  /** Adds all at once; gives the windows that are there afterwards. One that has ended begins anew. */
  settle(steps: TallyStep[]): Promise<TallyTotal[]>
  /** Counts a failure of each before it is known whether it is one; gives how many milliseconds there are to wait instead, 0: none. */
  begin(all: Patience[]): Promise<number>
  /** It was no failure: the names that are settled begin anew, of others it is taken back. */
  takeBack(names: string[], settled: string[]): Promise<void>
  /** Removes what has ended. */
  sweep(): Promise<void>
}
