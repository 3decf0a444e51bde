import { type Description, describeKeys } from './describe.ts'
import { nearest } from './nearest.ts'

/**
 * What a key means; for a section also what is in it, and without a key all there is.
 * @throws Error naming the nearest key when there is none of this name
 */
export function explain(key: string | undefined): string {
  const all = describeKeys()
  if (key === undefined) return `${table(all)}\n`
  const wanted = plainPath(key)
  const found = all.find(({ path }) => plainPath(path) === wanted)
  if (!found) {
    const near = nearest(
      wanted,
      all.map(({ path }) => plainPath(path)),
    )
    const same = all.find(({ path }) => plainPath(path).endsWith(`.${wanted}`))?.path
    const hint = same ?? near
    throw new Error(`there is no key "${key}"${hint ? `; did you mean ${hint}?` : ''}`)
  }
  const below = all.filter(({ path }) => /^[.[]/.test(path.slice(found.path.length)) && path.startsWith(found.path))
  return `${page(found)}${below.length > 0 ? `\n${table(below)}\n` : ''}`
}

/** Items of lists are meant alike with and without their position. */
function plainPath(path: string): string {
  return path.toLowerCase().replace(/\[\d*\]|\.\d+(?=\.|$)/g, '')
}

function page({ path, doc, form, default: initial, status, variables }: Description): string {
  const lines: [string, string | undefined][] = [
    ['form', form],
    ['default', initial],
    ['variable', variables.join(' or ')],
    ['note', status && `this key ${status}`],
  ]
  const facts = lines.filter(([, text]) => text !== undefined).map(([name, text]) => `  ${name.padEnd(9)} ${text}\n`)
  return `${path}\n  ${doc}\n${facts.join('')}`
}

function table(rows: Description[]): string {
  const width = Math.max(...rows.map(({ path }) => path.length)) + 2
  return rows.map(({ path, doc, status }) => `  ${path.padEnd(width)}${doc}${status ? ` (${status})` : ''}`).join('\n')
}
