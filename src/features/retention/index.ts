import type { Feature, Platform } from '../feature.ts'

/** Tags and images that go after a while, by rules. See docs/retention.md. */
export function retention(platform: Platform): Feature {
  const { configuration, accounts } = platform
  const { storage, retention: settings } = configuration
  const mayDelete = storage.delete && !storage.readOnly

  return {
    name: 'retention',
    jobs: mayDelete
      ? [
          {
            name: 'retention',
            everySeconds: settings.intervalMs / 1000,
            async run(signal) {
              const isAny =
                settings.rules.length > 0 || (await accounts.find('rule_set', { kind: 'retention' })) !== undefined
              if (isAny) await (await import('./schedule.ts')).runAll(platform, signal)
            },
          },
        ]
      : [],
    async api() {
      const { retentionOperations } = await import('./operations.ts')
      return retentionOperations({ ...platform, mayDelete })
    },
  }
}
