import { damageAdvice, isDamaged } from '../metadata/sqlite/damaged.ts'

/** What a command that failed says, in one line; of a damaged database also what to do. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return isDamaged(error) && !message.includes(damageAdvice) ? `${message}; ${damageAdvice}` : message
}
