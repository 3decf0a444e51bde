import { hash } from 'node:crypto'
import { policiesFor, type RetentionPolicy } from '../../rules/retention.ts'
import type { Platform } from '../feature.ts'
import { createRunner } from './runner.ts'

/** The kind of entries in the vault that tell which rules have had their first run. */
const seenKind = 'retention'
const step = 500

/** Carries out the rules in all repositories. Those that are new, or were changed, only tell what would go, this first time. */
export async function runAll(platform: Platform, signal: AbortSignal): Promise<void> {
  const { metadata, vault, log } = platform
  const runner = createRunner(platform)
  const policies = await runner.policies()
  const seen = new Set((await vault.list(seenKind)).map(({ id }) => id))
  const isNew = (policy: RetentionPolicy) => !seen.has(nameOf(policy))
  for (let last: string | undefined; ;) {
    const names = await metadata.repositories.list({ limit: step, last })
    for (const repository of names) {
      if (signal.aborted) return
      const mine = policiesFor(policies, repository)
      if (mine.length === 0) continue
      const plan = await runner.plan(repository, policies)
      if (plan.summary.expire === 0) continue
      if (policies.some((policy) => isNew(policy) && policiesFor([policy], repository).length > 0))
        await runner.simulate(plan)
      else
        await runner
          .apply(plan, '', signal)
          .catch((error: unknown) => log.error('retention.failed', { repository, error: String(error) }))
    }
    if (names.length < step) break
    last = names.at(-1)
  }
  const present = new Set(policies.map(nameOf))
  for (const id of present) if (!seen.has(id)) await vault.add(seenKind, id, { text: '', endsAt: undefined })
  for (const id of seen) if (!present.has(id)) await vault.delete(seenKind, id)
}

/** Changes with every change of the rules. */
const nameOf = (policy: RetentionPolicy) => hash('sha256', JSON.stringify(policy), 'hex')
