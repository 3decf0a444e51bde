import type { Feature, Platform } from '../feature.ts'

const everySeconds = 60
/** How far pushes were looked at for labels. */
const labelCursor = 'expiry-labels'

/** Rules for tags: documents of rules, locks, and tags that go by themselves. See docs/retention.md. */
export function tagRules(platform: Platform): Feature {
  const { configuration, metadata, rules, clock } = platform
  const { storage, retention } = configuration
  const mayDelete = storage.delete && !storage.readOnly

  /** Looks first whether there is anything to do: of most registries nothing of it is in memory. */
  async function expire(signal: AbortSignal): Promise<void> {
    if (retention.labels) {
      const read = (await metadata.cursors.get(labelCursor))?.sequence ?? 0
      if ((await metadata.events.last()) > read)
        await (await import('./labels.ts')).readLabels(platform, { cursor: labelCursor, from: read }, signal)
    }
    if ((await rules.due(clock.now().getTime(), 1)).length === 0) return
    const { takeDue } = await import('./expire.ts')
    await takeDue(platform, signal)
  }

  return {
    name: 'tag-rules',
    jobs: mayDelete ? [{ name: 'tag-expiry', everySeconds, run: expire }] : [],
    async api() {
      const { ruleOperations } = await import('./rules.ts')
      const { tagOperations } = await import('./tags.ts')
      return [...ruleOperations(platform), ...tagOperations({ ...platform, mayDelete })]
    },
  }
}
