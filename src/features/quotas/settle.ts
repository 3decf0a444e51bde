import { limitOf, scopesOf } from '../../rules/quotas.ts'
import type { Platform } from '../feature.ts'

const step = 500

/** Brings the quotas of the configuration into the database: what it no longer has goes, and what there is counts from now on. */
export async function settle(
  { configuration, quotas, metadata }: Pick<Platform, 'configuration' | 'quotas' | 'metadata'>,
  signal: AbortSignal,
): Promise<void> {
  const rules = configuration.quotas
  const known = new Set<string>()
  for (const { scope, limit, soft, isConfigured } of await quotas.list()) {
    const wanted = limitOf(rules, scope)
    known.add(scope)
    if (!isConfigured) continue
    if (!wanted) await quotas.remove(scope)
    else if (wanted.limit !== limit || wanted.soft !== soft) await quotas.set({ ...wanted, isConfigured })
  }
  if (rules.length === 0) return
  for (let last: string | undefined; ;) {
    const names = await metadata.repositories.list({ limit: step, last })
    for (const scope of names.flatMap(scopesOf)) {
      signal.throwIfAborted()
      const wanted = known.has(scope) ? undefined : limitOf(rules, scope)
      known.add(scope)
      if (wanted) await quotas.set({ ...wanted, isConfigured: true })
    }
    if (names.length < step) return
    last = names.at(-1)
  }
}
