import { Problem } from '../../api/problem.ts'
import type { Retirement } from '../../metadata/rule-facts.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseRetention } from '../../rules/retention-document.ts'
import type { RetentionPolicy } from '../../rules/retention.ts'
import type { Platform } from '../feature.ts'
import { makePlan, type Plan } from './plan.ts'

const step = 50
const mostNoted = 200

/** What came of a plan that was carried out. */
export interface Outcome {
  plan: string
  tags: number
  images: number
  /** Of the images that went. */
  frees: number
  /** Tags that were to go and are still there, because they moved meanwhile, or a rule or a lock came. */
  left: number
}

/** Makes plans and carries them out. */
export function createRunner({ configuration, accounts, rules, clock, log }: Platform) {
  const { retention, collection } = configuration

  return {
    /** The rules there are: of the configuration, and of the database. */
    async policies(): Promise<RetentionPolicy[]> {
      const kept = await accounts.list('rule_set', { kind: 'retention' })
      return [
        ...(retention.rules.length > 0 ? [{ scope: '*', rules: retention.rules, lifecycle: [] }] : []),
        ...kept.map(({ document, scope }) => parseRetention(JSON.parse(document), scope)),
      ]
    },

    plan: (repository: string, policies: readonly RetentionPolicy[], now = clock.now().getTime()): Promise<Plan> =>
      makePlan({ rules, keepPulledMs: collection.keepPulledMs }, { repository, policies, now }),

    /** Does what the plan says, and no more: what is no longer as it was then stays. */
    async apply(plan: Plan, by: string, signal?: AbortSignal): Promise<Outcome> {
      const outcome = { plan: plan.id, tags: 0, images: 0, frees: plan.summary.frees, left: 0 }
      const gone = new Set<Digest>()
      const retire = async (all: Retirement[]) => {
        for (let from = 0; from < all.length && !signal?.aborted; from += step) {
          const reason = { why: 'retention', by } as const
          const { tags, images, waits } = await rules.retire(plan.repository, all.slice(from, from + step), reason)
          if (waits) throw new Problem('unavailable', `what ${plan.repository} holds is still being read: try again`)
          outcome.tags += tags.length
          outcome.images += images.length
          for (const digest of images) gone.add(digest)
        }
      }
      await retire(plan.retirements)
      const parts = plan.parts.filter(({ of }) => gone.has(of)).map(({ digest, tags }) => ({ digest, tags }))
      await retire(parts)
      outcome.left = [...plan.retirements, ...parts].flatMap(({ tags }) => tags).length - outcome.tags
      await note(plan, 'applied', by, outcome)
      log.info('retention.applied', { repository: plan.repository, ...outcome })
      return outcome
    },

    /** Notes what would go. */
    async simulate(plan: Plan): Promise<void> {
      const { images, expire, frees } = plan.summary
      await note(plan, 'simulated', '', { tags: expire, images })
      const message = 'the rules are new or changed: this time nothing goes; the next run carries them out'
      log.info('retention.simulated', { repository: plan.repository, tags: expire, images, frees, message })
    },
  }

  async function note(
    { id, repository, items, summary }: Plan,
    state: 'simulated' | 'applied',
    by: string,
    { tags, images }: { tags: number; images: number },
  ): Promise<void> {
    const expired = items.filter(({ verdict }) => verdict === 'expire')
    const shown = expired.slice(0, mostNoted).map(({ tag, digest, rule, why }) => ({ tag, digest, rule, why }))
    await rules.runs.record({
      ...{ at: clock.now().getTime(), repository, state, plan: id, actor: by },
      ...{ tags, images, bytes: summary.frees },
      body: JSON.stringify(shown),
    })
  }
}
