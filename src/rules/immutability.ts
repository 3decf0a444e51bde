import { matchesPattern } from '../identity/pattern.ts'
import { compilePatterns } from './patterns.ts'
import { asList, asObject, asText, asTexts, expectFields } from './reading.ts'

/** Tags that stay where they are, or are not deleted. */
export interface ImmutabilityRule {
  /** What a refusal calls it. */
  name: string
  /** Patterns of repositories, which must both fit: of where the rule was made, and its own. */
  scope: string
  repositories: string
  /** Patterns of tags, and of those among them that are free. */
  tags: string[]
  exclude: string[]
  overwrite: 'allow' | 'deny'
  delete: 'allow' | 'deny'
}

export type Protects = (repository: string, tag: string, from: 'overwrite' | 'delete') => string | undefined

/** What keeps signatures and lists of referrers beside an image for clients that know no other place: they must grow. */
const attached = /^sha(256|512)-[0-9a-f]{64,128}(\.(sig|att|sbom))?$/

/** Gives the name of the rule that protects a tag; of several the first. @throws Error about a pattern that is none */
export function compileImmutability(rules: readonly ImmutabilityRule[]): Protects {
  const compiled = rules.map((rule) => ({
    rule,
    includes: compilePatterns(rule.tags),
    excludes: compilePatterns(rule.exclude),
  }))
  return (repository, tag, from) =>
    compiled.find(
      ({ rule, includes, excludes }) =>
        rule[from] === 'deny' &&
        matchesPattern(rule.scope, repository) &&
        matchesPattern(rule.repositories, repository) &&
        includes(tag) &&
        !excludes(tag) &&
        !(from === 'overwrite' && attached.test(tag)),
    )?.rule.name
}

const switches = ['allow', 'deny'] as const
const modes = ['MUTABLE', 'IMMUTABLE', 'MUTABLE_WITH_EXCLUSION', 'IMMUTABLE_WITH_EXCLUSION']

/**
 * Reads a document of rules, or Amazon's mutability of a repository, for the repositories of a scope: `*`, `acme/*` or one.
 * @throws Error that says what is wrong, and where
 */
export function parseImmutability(document: unknown, scope: string): ImmutabilityRule[] {
  const given = asObject(document, '')
  const rules =
    'imageTagMutability' in given
      ? [amazonRule(given)]
      : asList(expectFields(given, '', ['rules']).rules, '/rules').map(readRule)
  const found = rules.filter((rule) => rule !== undefined)
  compileImmutability(found)
  return found.map((rule, index) => ({ ...rule, scope, name: `${rule.name || index + 1} of ${scope}` }))
}

function readRule(value: unknown, index: number): ImmutabilityRule {
  const at = `/rules/${index}`
  const rule = expectFields(asObject(value, at), at, ['name', 'repositories', 'tags', 'exclude', 'overwrite', 'delete'])
  const choice = (field: 'overwrite' | 'delete', otherwise: 'allow' | 'deny') => {
    const word = rule[field] ?? otherwise
    if (switches.includes(word as 'deny')) return word as 'allow' | 'deny'
    throw new Error(`${at}/${field}: expected allow or deny`)
  }
  return {
    name: rule.name === undefined ? '' : asText(rule.name, `${at}/name`),
    scope: '',
    repositories: rule.repositories === undefined ? '*' : asText(rule.repositories, `${at}/repositories`),
    tags: rule.tags === undefined ? ['*'] : asTexts(rule.tags, `${at}/tags`),
    exclude: rule.exclude === undefined ? [] : asTexts(rule.exclude, `${at}/exclude`),
    overwrite: choice('overwrite', 'deny'),
    delete: choice('delete', 'allow'),
  }
}

/** `PutImageTagMutability` of Amazon's registry; as there, tags may be deleted. */
function amazonRule(given: Record<string, unknown>): ImmutabilityRule | undefined {
  const [modeField, filterField] = ['imageTagMutability', 'imageTagMutabilityExclusionFilters'] as const
  expectFields(given, '', [modeField, filterField, 'repositoryName', 'registryId'])
  const mode = given[modeField]
  if (!modes.includes(mode as string)) throw new Error(`/${modeField}: expected ${modes.join(', ')}`)
  const filters = asList(given[filterField] ?? [], `/${filterField}`).map((value, index) => {
    const at = `/${filterField}/${index}`
    const { filterType, filter } = expectFields(asObject(value, at), at, ['filterType', 'filter'])
    if (filterType !== 'WILDCARD') throw new Error(`${at}/filterType: expected WILDCARD`)
    if (typeof filter === 'string' && /^[\w.*-]{1,128}$/.test(filter) && filter.split('*').length <= 3) return filter
    throw new Error(`${at}/filter: expected letters of tags and at most two *`)
  })
  const hasFilters = String(mode).endsWith('_WITH_EXCLUSION')
  if (hasFilters !== filters.length > 0 || filters.length > 5)
    throw new Error(`/${filterField}: expected ${hasFilters ? '1 to 5 filters' : `none with ${String(mode)}`}`)
  if (mode === 'MUTABLE') return undefined
  const [tags, exclude] = mode === 'MUTABLE_WITH_EXCLUSION' ? [filters, []] : [['*'], filters]
  return { name: String(mode), scope: '', repositories: '*', tags, exclude, overwrite: 'deny', delete: 'allow' }
}
