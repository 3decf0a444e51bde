import { failure } from './failure.ts'

/** A moment that an option names, as the management API takes it. @throws Error with exit code 2 */
export function momentOf(option: string, value: string): string {
  const at = /^\d{4}-\d\d-\d\d($|T)/.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(at))
    throw failure('usage', `${option} ${value}: expected a moment such as 2030-01-01 or 2030-01-01T12:00:00Z`)
  return new Date(at).toISOString()
}

/** A whole number from 1 to 100. @throws Error with exit code 2 */
export function percentOf(option: string, value: string): number {
  const number = Number(value)
  if (/^\d+$/.test(value) && number >= 1 && number <= 100) return number
  throw failure('usage', `${option} ${value}: expected a whole number of percent, from 1 to 100`)
}

/** One of some words. @throws Error with exit code 2 */
export function choiceOf(option: string, value: string, words: readonly string[]): string {
  if (words.includes(value)) return value
  throw failure('usage', `${option} ${value}: expected ${words.join(' or ')}`)
}
