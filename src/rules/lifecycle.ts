import { matchesPattern } from '../identity/pattern.ts'
import { asList, asObject, asText, asTexts, asWhole, expectFields } from './reading.ts'
import type { ImageState } from './retention.ts'

/** A rule of Amazon's lifecycle policies. */
export interface LifecycleRule {
  priority: number
  description: string
  tagStatus: 'tagged' | 'untagged' | 'any'
  /** All must fit a tag of the image. */
  patterns: string[]
  countType: 'imageCountMoreThan' | 'sinceImagePushed' | 'sinceImagePulled'
  countNumber: number
}

const day = 86_400_000
const maxRules = 50
const statuses = ['tagged', 'untagged', 'any'] as const
const countTypes = ['imageCountMoreThan', 'sinceImagePushed', 'sinceImagePulled'] as const

/** Whether a document is one of Amazon's. */
export function isLifecycle(document: unknown): boolean {
  const rules = typeof document === 'object' && document !== null && 'rules' in document ? document.rules : undefined
  return (
    Array.isArray(rules) && rules.some((rule) => typeof rule === 'object' && rule !== null && 'rulePriority' in rule)
  )
}

/** Reads a lifecycle policy as Amazon takes it. @throws Error that says what is wrong, and where */
export function parseLifecycle(document: unknown): LifecycleRule[] {
  const { rules } = expectFields(asObject(document, ''), '', ['rules'])
  const read = asList(rules, '/rules').map(readRule)
  if (read.length === 0 || read.length > maxRules) throw new Error(`/rules: expected 1 to ${maxRules} rules`)
  const sorted = read.toSorted((a, b) => a.priority - b.priority)
  for (const [index, { priority, tagStatus }] of sorted.entries()) {
    if (sorted[index + 1]?.priority === priority) throw new Error(`/rules: two have the rulePriority ${priority}`)
    if (tagStatus === 'any' && index < sorted.length - 1)
      throw new Error('/rules: the rule with tagStatus any must have the highest rulePriority')
  }
  if (sorted.filter(({ tagStatus }) => tagStatus === 'untagged').length > 1)
    throw new Error('/rules: only one rule may have tagStatus untagged')
  return sorted
}

function readRule(value: unknown, index: number): LifecycleRule {
  const at = `/rules/${index}`
  const rule = expectFields(asObject(value, at), at, ['rulePriority', 'description', 'selection', 'action'])
  const from = `${at}/selection`
  const selection = expectFields(asObject(rule.selection, from), from, [
    ...(['tagStatus', 'tagPrefixList', 'tagPatternList', 'storageClass'] as const),
    ...(['countType', 'countUnit', 'countNumber'] as const),
  ])
  const action = expectFields(asObject(rule.action, `${at}/action`), `${at}/action`, ['type', 'targetStorageClass'])
  if (
    action.type === 'transition' ||
    selection.storageClass === 'archive' ||
    selection.countType === 'sinceImageTransitioned'
  )
    throw new Error(
      `${at}: there is no archive storage class here, so that no image goes over to it: leave the rule out`,
    )
  if (action.type !== 'expire' || action.targetStorageClass !== undefined)
    throw new Error(`${at}/action/type: expected expire`)
  if (selection.storageClass !== undefined && selection.storageClass !== 'standard')
    throw new Error(`${from}/storageClass: expected standard`)
  const tagStatus = oneOf(statuses, selection.tagStatus, `${from}/tagStatus`)
  const countType = oneOf(countTypes, selection.countType, `${from}/countType`)
  if (countType === 'imageCountMoreThan' ? selection.countUnit !== undefined : selection.countUnit !== 'days')
    throw new Error(
      `${from}/countUnit: expected ${countType === 'imageCountMoreThan' ? `none with ${countType}` : 'days'}`,
    )
  return {
    priority: asWhole(rule.rulePriority, `${at}/rulePriority`),
    description: rule.description === undefined ? '' : asText(rule.description, `${at}/description`),
    tagStatus,
    patterns: patternsOf(selection, tagStatus, from),
    countType,
    countNumber: asWhole(selection.countNumber, `${from}/countNumber`),
  }
}

function patternsOf(
  { tagPrefixList, tagPatternList }: { tagPrefixList?: unknown; tagPatternList?: unknown },
  tagStatus: LifecycleRule['tagStatus'],
  at: string,
): string[] {
  if (tagStatus !== 'tagged') {
    if (tagPrefixList === undefined && tagPatternList === undefined) return []
    throw new Error(`${at}: tagPrefixList and tagPatternList are for tagStatus tagged`)
  }
  if ((tagPrefixList === undefined) === (tagPatternList === undefined))
    throw new Error(`${at}: expected one of tagPrefixList and tagPatternList`)
  if (tagPrefixList !== undefined) {
    const prefixes = asTexts(tagPrefixList, `${at}/tagPrefixList`)
    if (prefixes.some((prefix) => /[*?]/.test(prefix))) throw new Error(`${at}/tagPrefixList: a prefix has no * or ?`)
    return prefixes.map((prefix) => `${prefix}*`)
  }
  const patterns = asTexts(tagPatternList, `${at}/tagPatternList`)
  if (patterns.some((pattern) => pattern.includes('?') || pattern.split('*').length > 5))
    throw new Error(`${at}/tagPatternList: expected at most four * in a pattern, and no ?`)
  return patterns
}

function oneOf<const W extends string>(words: readonly W[], value: unknown, at: string): W {
  const word = words.find((one) => one === value)
  if (word !== undefined) return word
  throw new Error(`${at}: expected ${words.join(', ')}`)
}

/**
 * Which images a policy expires, each with its one rule, as Amazon evaluates it: by priority; what a rule selects no later rule
 * expires, though it still counts there; what an index holds stays.
 */
export function* evaluateLifecycle(
  rules: LifecycleRule[],
  images: ImageState[],
  now: number,
): Generator<undefined, Map<string, LifecycleRule>> {
  const selectedBefore = new Set<string>()
  const expired = new Map<string, LifecycleRule>()
  for (const rule of rules) {
    const selected = []
    for (const image of images) {
      if (selects(rule, image)) selected.push(image)
      yield
    }
    selected.sort(newestFirst)
    yield
    for (const image of marked(rule, selected, now))
      if (!selectedBefore.has(image.digest) && !image.isAttached) expired.set(image.digest, rule)
    for (const { digest } of selected) selectedBefore.add(digest)
  }
  return expired
}

const newestFirst = (a: ImageState, b: ImageState) => b.pushedAt - a.pushedAt || (a.digest < b.digest ? -1 : 1)

function selects({ tagStatus, patterns }: LifecycleRule, { tags }: ImageState): boolean {
  if (tagStatus === 'any') return true
  if (tagStatus === 'untagged') return tags.length === 0
  return tags.length > 0 && patterns.every((pattern) => tags.some(({ name }) => matchesPattern(pattern, name)))
}

function marked({ countType, countNumber }: LifecycleRule, newest: ImageState[], now: number): ImageState[] {
  if (countType === 'imageCountMoreThan') return newest.slice(countNumber)
  const since = (image: ImageState) =>
    countType === 'sinceImagePulled' ? Math.max(image.pulledAt ?? 0, image.pushedAt) : image.pushedAt
  return newest.filter((image) => now - since(image) > countNumber * day)
}
