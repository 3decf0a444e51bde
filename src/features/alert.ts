import type { Log } from '../platform/log.ts'
import type { MetadataStore } from '../registry/ports/metadata.ts'

export type Alert = ReturnType<typeof createAlert>

/**
 * Records what an operator must know in the event log, from which notifications are made (docs/serving.md#alerts). The log of the
 * program is told by whoever found it: it has to say so also while the database is away.
 */
export function createAlert({ metadata, log }: { metadata: Pick<MetadataStore, 'events'>; log: Log }) {
  const actor = { name: '', address: '' }
  return async (what: string, detail: object): Promise<void> => {
    await metadata.events
      .record([{ type: 'alert', what, repository: '', detail, actor }])
      .catch((error: unknown) => log.warn('alert.not-recorded', { alert: what, error: String(error) }))
  }
}
