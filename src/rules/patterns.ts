import { matchesPattern } from '../identity/pattern.ts'
import { compileRegex } from './regex.ts'

const maxPattern = 258

/**
 * Whether one of the patterns fits a tag or a repository: `*` stands for any letters (slashes too), `?` for one; between slashes
 * stands a regular expression (`regex.ts`).
 * @throws Error that names the pattern that is none
 */
export function compilePatterns(patterns: readonly string[]): (text: string) => boolean {
  const tests = patterns.map(compile)
  return (text) => tests.some((test) => test(text))
}

function compile(pattern: string): (text: string) => boolean {
  const shown = JSON.stringify(pattern)
  if (pattern === '' || pattern.length > maxPattern)
    throw new Error(`${shown} is no pattern: expected 1 to ${maxPattern} characters`)
  if (!pattern.startsWith('/')) return (text) => matchesPattern(pattern, text)
  if (pattern.length < 3 || !pattern.endsWith('/'))
    throw new Error(`${shown} is no pattern: a regular expression ends with a slash, as in /^v\\d+$/`)
  try {
    return compileRegex(pattern.slice(1, -1))
  } catch (error) {
    throw new Error(`${shown} is no regular expression that can be used here: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
