import type { Vault } from '../auth/vault.ts'

/** Work that somebody asked for, and what came of it; both outlive the process that was asked. */
export type Asked<Options> = Options & { id: string }
type Report = { id: string } & Record<string, unknown>

const [askedId, reportId] = ['asked', 'report']
const keptMs = 86_400_000

interface Deps {
  vault: Vault
  clock: { now(): Date }
  /** Under which kind it is kept. */
  kind: string
}

/** The way from any process to the one that does a kind of work. */
export function createAsked<Options>({ vault, clock, kind }: Deps) {
  const read = async <T>(id: string) => {
    const entry = await vault.get(kind, id)
    return entry && (JSON.parse(entry.text) as T)
  }
  /** Says how far it is. */
  async function tell(report: Report): Promise<void> {
    await vault.delete(kind, reportId)
    await vault.add(kind, reportId, { text: JSON.stringify(report), endsAt: undefined })
  }
  const next = () => read<Asked<Options>>(askedId)
  const report = () => read<Report>(reportId)
  return {
    /** Asks for it; gives what is to be done where somebody has asked before. */
    async ask(asked: Asked<Options>): Promise<Asked<Options>> {
      const endsAt = new Date(clock.now().getTime() + keptMs)
      if (await vault.add(kind, askedId, { text: JSON.stringify(asked), endsAt })) return asked
      return (await next()) ?? asked
    },
    next,
    report,
    /** How far the one of this id is; undefined for one that is not, or no longer, known. */
    async stateOf(id: string): Promise<Report | undefined> {
      const last = await report()
      if (last?.id === id) return last
      return (await next())?.id === id ? { id, state: 'waiting' } : undefined
    },
    tell,
    async answer(report: Report): Promise<void> {
      await tell(report)
      await vault.delete(kind, askedId)
    },
  }
}
