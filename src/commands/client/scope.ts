import { failure } from './failure.ts'

/** The path of something of a repository, of a namespace (`acme/*`), or of all (`*`). @throws Error with exit code 2 */
export function scopePath(scope: string, what: string): string {
  if (scope === '*') return `/${what}`
  const [, namespace] = /^([^/*?]+)\/\*$/.exec(scope) ?? []
  if (namespace !== undefined) return `/orgs/${namespace}/${what}`
  if (scope === '' || /[*?:@]/.test(scope)) throw failure('usage', `${scope}: expected REPO, 'ORG/*' or '*'`)
  return `/repos/${scope}/-/${what}`
}
