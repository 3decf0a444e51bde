import type { Due } from '../../metadata/rule-facts.ts'
import type { Platform } from '../feature.ts'

const step = 50
/** That something is kept is told once, soon after its time has come. */
const lateMs = 120_000

/** Takes away the tags whose time has come, some at a time; those that a rule or a lock keeps stay. */
export async function takeDue(
  { rules, clock, log }: Pick<Platform, 'rules' | 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  const before = clock.now().getTime()
  for (let last: Due | undefined; !signal.aborted;) {
    const due = await rules.due(before, step, last)
    if (due.length === 0) return
    for (const [repository, tags] of Map.groupBy(due, (one) => one.repository)) {
      const images = Map.groupBy(tags, ({ digest }) => digest)
      const retirements = [...images].map(([digest, on]) => ({ digest, tags: on.map(({ tag }) => tag) }))
      const { tags: gone, kept } = await rules.retire(repository, retirements, {
        why: 'expired',
        by: '',
        dueBefore: before,
      })
      if (gone.length > 0) log.info('tags.expired', { repository, tags: gone })
      const newlyKept = tags.filter(({ tag, expiresAt }) => kept.includes(tag) && expiresAt > before - lateMs)
      if (newlyKept.length > 0)
        log.info('tags.not-expired', {
          repository,
          tags: newlyKept.map(({ tag }) => tag),
          message: 'their time has come, but a rule or a lock keeps them',
        })
    }
    last = due.at(-1)
  }
}
