import type { Vault } from '../../auth/vault.ts'
import type { RunOptions } from '../../collection/collector.ts'

/** A run that somebody asked for, and what came of it; both outlive the process that was asked. */
export interface Asked extends RunOptions {
  id: string
}
type Report = { id: string } & Record<string, unknown>

const [kind, askedId, reportId] = ['collection', 'asked', 'report']
const keptMs = 86_400_000

/** The way from any process to the one that collects. */
export function createAsked({ vault, clock }: { vault: Vault; clock: { now(): Date } }) {
  const read = async <T>(id: string) => {
    const entry = await vault.get(kind, id)
    return entry && (JSON.parse(entry.text) as T)
  }
  return {
    /** Asks for a run; gives the one that is to come where somebody has asked before. */
    async ask(asked: Asked): Promise<Asked> {
      const endsAt = new Date(clock.now().getTime() + keptMs)
      if (await vault.add(kind, askedId, { text: JSON.stringify(asked), endsAt })) return asked
      return (await read<Asked>(askedId)) ?? asked
    },
    next: () => read<Asked>(askedId),
    report: () => read<Report>(reportId),
    async answer(report: Report): Promise<void> {
      await vault.delete(kind, reportId)
      await vault.add(kind, reportId, { text: JSON.stringify(report), endsAt: undefined })
      await vault.delete(kind, askedId)
    },
  }
}
