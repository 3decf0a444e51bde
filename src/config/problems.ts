import type { Origin } from './tree.ts'

/** Collects what is wrong, so that everything can be said at once. */
export interface Problems {
  error(origin: Origin, message: string): void
  warn(origin: Origin, message: string): void
  note(origin: Origin, message: string): void
  errors: string[]
  warnings: string[]
  notes: string[]
}

export function createProblems(): Problems {
  const errors: string[] = []
  const warnings: string[] = []
  const notes: string[] = []
  // Keys and values may hold anything; a message is one line, and nothing in it moves the cursor.
  const line = ({ name }: Origin, message: string) => `${name}: ${message}`.replace(/[\0-\x1f\x7f-\x9f]+/g, ' ')
  return {
    errors,
    warnings,
    notes,
    error: (origin, message) => void errors.push(line(origin, message)),
    warn: (origin, message) => void warnings.push(line(origin, message)),
    note: (origin, message) => void notes.push(line(origin, message)),
  }
}

/** A configuration that cannot be used; the message has a line for each reason. */
export class ConfigurationError extends Error {
  readonly errors: string[]
  readonly warnings: string[]

  constructor(unsorted: string[], warnings: string[]) {
    const errors = unsorted.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })) // by line
    super(`Cannot use the configuration:\n${errors.map((error) => `  ${error}`).join('\n')}`)
    this.errors = errors
    this.warnings = warnings
  }
}
