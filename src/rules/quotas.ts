import { matchesPattern } from '../identity/pattern.ts'

/** A limit of the configuration, in bytes; from `soft` percent on it is warned. */
export interface QuotaRule {
  /** An organization (`acme`), a repository (`acme/app`), or a pattern of either: each that fits has a limit of its own. */
  scope: string
  limit: number
  soft: number
}

/** What the limits on a repository can be about: its organization, and itself. */
export const scopesOf = (repository: string): string[] => [...new Set([repository.split('/')[0]!, repository])]

/** The limit of a scope: that by its name, or the first whose pattern fits. A pattern with a slash is one of repositories. */
export function limitOf(rules: readonly QuotaRule[], scope: string): QuotaRule | undefined {
  const isRepository = scope.includes('/')
  const fitting = rules.filter((rule) => rule.scope.includes('/') === isRepository && matchesPattern(rule.scope, scope))
  const found = fitting.find((rule) => rule.scope === scope) ?? fitting[0]
  return found && { ...found, scope }
}

/** The limits that the configuration has for a repository. */
export function limitsOn(rules: readonly QuotaRule[], repository: string): QuotaRule[] {
  return rules.length === 0 ? [] : scopesOf(repository).flatMap((scope) => limitOf(rules, scope) ?? [])
}
