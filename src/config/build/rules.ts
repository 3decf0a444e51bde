import type { ImmutabilityRule } from '../../rules/immutability.ts'
import type { QuotaRule } from '../../rules/quotas.ts'
import type { RetentionRule } from '../../rules/retention.ts'
import type { Configuration } from '../configuration.ts'
import { objectionTo } from '../../rules/objection.ts'
import { type Build, withoutUndefined } from './tools.ts'

const minute = 60_000

/** `holdfast.immutability` */
export function buildImmutability({ reading, error }: Build): ImmutabilityRule[] {
  return reading.values.holdfast.immutability.map(
    ({ name, repositories, tags, exclude, overwrite, delete: deletes }, index) => {
      const at = `holdfast.immutability.${index}`
      if (overwrite === 'allow' && deletes === 'allow')
        error(at, 'denies nothing: expected overwrite or delete to be deny')
      const given = withoutUndefined(tags)
      return {
        name: `${name ?? index + 1} of the configuration`,
        scope: '*',
        repositories,
        tags: given.length > 0 ? given : ['*'],
        exclude: withoutUndefined(exclude),
        overwrite,
        delete: deletes,
      }
    },
  )
}

/** `holdfast.quotas` */
export function buildQuotas({ reading, missing, error }: Build): QuotaRule[] {
  const scopes = new Set<string>()
  return reading.values.holdfast.quotas.flatMap(({ scope, limit, soft }, index) => {
    const at = `holdfast.quotas.${index}`
    if (scope === undefined) missing(`${at}.scope`, 'an organization, a repository, or a pattern such as acme/*')
    if (limit === undefined) missing(`${at}.limit`, 'a size such as 10GiB')
    if (soft < 1 || soft > 100) error(`${at}.soft`, 'is no share: expected 1 to 100 percent')
    if (scope === undefined || limit === undefined) return []
    if (scopes.has(scope)) error(`${at}.scope`, `stands there twice: ${scope}`)
    scopes.add(scope)
    return [{ scope, limit, soft }]
  })
}

/** `holdfast.retention` */
export function buildRetention({ reading, error, missing, warn }: Build): Configuration['retention'] {
  const { interval, labels, rules } = reading.values.holdfast.retention
  if (rules.some(({ action }) => action === 'expire') && !reading.values.storage.delete.enabled)
    warn('holdfast.retention.rules', 'lets nothing go: storage.delete.enabled is false')
  if (interval < minute) error('holdfast.retention.interval', 'is less than a minute: expected one such as 24h')
  return {
    intervalMs: interval,
    labels,
    rules: rules.map((rule, index) => {
      const at = `holdfast.retention.rules.${index}`
      const given = withoutUndefined(rule.tags)
      if (!rule.action) missing(`${at}.action`, 'keep or expire')
      const read: RetentionRule = {
        name: `${rule.name ?? `rule ${index + 1}`} of the configuration`,
        action: rule.action ?? 'keep',
        ...{ repositories: rule.repositories, priority: rule.priority, by: rule.by },
        tags: rule.untagged ? undefined : given.length > 0 ? given : ['*'],
        exclude: withoutUndefined(rule.exclude),
        platforms: rule.platforms.length > 0 ? withoutUndefined(rule.platforms) : undefined,
        ...{ newest: rule.newest, beyondNewest: rule.beyondnewest },
        ...{ pushedWithin: rule.pushedwithin, olderThan: rule.olderthan },
        ...{ pulledWithin: rule.pulledwithin, notPulledFor: rule.notpulledfor },
      }
      const objection = objectionTo(read, { hasTags: given.length > 0, isUntagged: rule.untagged })
      if (objection !== undefined) error(at, objection)
      return read
    }),
  }
}
