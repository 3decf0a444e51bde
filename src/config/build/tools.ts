import type { Problems } from '../problems.ts'
import type { Reading } from '../read.ts'
import type { Origin } from '../tree.ts'

/** What the parts of `build` share. */
export interface Build {
  reading: Reading
  /** An error at this key, or at what is above it in the file; the message goes on after the key. */
  error(path: string, message: string): void
  /** An error about a key that is needed, unless what was given for it is an error already. */
  missing(path: string, expected: string): void
  warn(path: string, message: string): void
}

/** Reports by key: the place is found from where the key, or what it is in, was given. */
export function createBuild(reading: Reading, problems: Problems): Build {
  return {
    reading,
    error: (path, message) => problems.error(originOf(reading, path), `${path} ${message}`),
    missing(path, expected) {
      if (reading.origins.has(path)) return
      problems.error(originOf(reading, path), `${path} is missing: expected ${expected}`)
    },
    warn: (path, message) => problems.warn(originOf(reading, path), `${path} ${message}`),
  }
}

function originOf({ origins }: Reading, path: string): Origin {
  for (let above = path; above !== ''; above = above.slice(0, Math.max(0, above.lastIndexOf('.')))) {
    const origin = origins.get(above)
    if (origin) return origin
  }
  const below = origins.keys().find((key) => key.startsWith(`${path}.`)) // a list of which variables gave a part
  return origins.get(below ?? '') ?? { kind: 'default', name: 'configuration' }
}

/** Items of lists may be left empty. */
export function withoutUndefined<T>(items: (T | undefined)[]): T[] {
  return items.filter((item) => item !== undefined)
}

/** Headers without values that were left empty. */
export function withoutGaps(headers: Record<string, (string | undefined)[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, withoutUndefined(values)]))
}
