import { isDamaged, withAdvice } from '../metadata/sqlite/damaged.ts'

/** What a command that failed says, in one line; of a damaged database also what to do. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return isDamaged(error) ? withAdvice(error).message : error.message
}
