import { isLifecycle, parseLifecycle } from './lifecycle.ts'
import { objectionTo } from './objection.ts'
import { asFlag, asList, asObject, asText, asTexts, asWhole, expectFields } from './reading.ts'
import type { RetentionPolicy, RetentionRule } from './retention.ts'
import { parseSpan } from './span.ts'

const fields = [
  ...([
    'name',
    'action',
    'priority',
    'repositories',
    'tags',
    'exclude',
    'platforms',
    'untagged',
    'by',
    'newest',
  ] as const),
  ...(['beyondNewest', 'pushedWithin', 'olderThan', 'pulledWithin', 'notPulledFor'] as const),
] as const

/** Reads a document of rules, or one of Amazon's lifecycle policies. @throws Error that says what is wrong, and where */
export function parseRetention(document: unknown, scope: string): RetentionPolicy {
  if (isLifecycle(document)) return { scope, rules: [], lifecycle: parseLifecycle(document) }
  const { rules } = expectFields(asObject(document, ''), '', ['rules'])
  const read = asList(rules, '/rules').map((value, index) => readRule(value, index, scope))
  return { scope, rules: read, lifecycle: [] }
}

function readRule(value: unknown, index: number, scope: string): RetentionRule {
  const at = `/rules/${index}`
  const given = asObject(value, at)
  const rule = expectFields(given, at, fields)
  const count = (field: 'newest' | 'beyondNewest') =>
    rule[field] === undefined ? undefined : asWhole(rule[field], `${at}/${field}`)
  const span = (field: 'pushedWithin' | 'olderThan' | 'pulledWithin' | 'notPulledFor') => {
    if (rule[field] === undefined) return undefined
    const ms = parseSpan(asText(rule[field], `${at}/${field}`))
    if (ms === undefined) throw new Error(`${at}/${field}: expected a span such as 36h, 14d or 3w`)
    return ms
  }
  if (rule.action !== 'keep' && rule.action !== 'expire') throw new Error(`${at}/action: expected keep or expire`)
  if (rule.by !== undefined && rule.by !== 'push' && rule.by !== 'version')
    throw new Error(`${at}/by: expected push or version`)
  const isUntagged = rule.untagged !== undefined && asFlag(rule.untagged, `${at}/untagged`)
  const read: RetentionRule = {
    name: `${rule.name === undefined ? `rule ${index + 1}` : asText(rule.name, `${at}/name`)} of ${scope}`,
    action: rule.action,
    repositories: rule.repositories === undefined ? '*' : asText(rule.repositories, `${at}/repositories`),
    priority: rule.priority === undefined ? 1_000_000 : asWhole(rule.priority, `${at}/priority`),
    tags: isUntagged ? undefined : rule.tags === undefined ? ['*'] : asTexts(rule.tags, `${at}/tags`),
    exclude: rule.exclude === undefined ? [] : asTexts(rule.exclude, `${at}/exclude`),
    platforms: rule.platforms === undefined ? undefined : asTexts(rule.platforms, `${at}/platforms`),
    by: rule.by ?? 'push',
    ...{ newest: count('newest'), beyondNewest: count('beyondNewest') },
    ...{ pushedWithin: span('pushedWithin'), olderThan: span('olderThan') },
    ...{ pulledWithin: span('pulledWithin'), notPulledFor: span('notPulledFor') },
  }
  const objection = objectionTo(read, { hasTags: rule.tags !== undefined, isUntagged })
  if (objection !== undefined) throw new Error(`${at}: ${objection}`)
  return read
}
