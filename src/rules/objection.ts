import { compilePatterns } from './patterns.ts'
import type { RetentionRule } from './retention.ts'

/** What is wrong with a rule as a whole; undefined: nothing. */
export function objectionTo(
  rule: RetentionRule,
  { hasTags, isUntagged }: { hasTags: boolean; isUntagged: boolean },
): string | undefined {
  if (isUntagged && (hasTags || rule.exclude.length > 0))
    return 'untagged images have no tags: expected one of tags and untagged'
  if (isUntagged && rule.by === 'version') return 'untagged images have no version: expected by: push'
  const { newest, beyondNewest, pushedWithin, olderThan, pulledWithin, notPulledFor } = rule
  const conditions = [newest, beyondNewest, pushedWithin, olderThan, pulledWithin, notPulledFor]
  const says = hasTags || isUntagged || rule.platforms !== undefined || conditions.some((one) => one !== undefined)
  if (rule.action === 'expire' && !says) return 'everything would go: expected tags, untagged, or a condition'
  try {
    compilePatterns([...(rule.tags ?? []), ...rule.exclude, ...(rule.platforms ?? [])])
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
