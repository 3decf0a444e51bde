import type { Due } from '../../metadata/rule-facts.ts'
import type { Platform } from '../feature.ts'

const step = 50

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
      if (kept.length > 0)
        log.debug('tags.not-expired', { repository, tags: kept, message: 'a rule or a lock keeps them' })
    }
    last = due.at(-1)
  }
}
