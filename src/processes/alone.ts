import { randomUUID } from 'node:crypto'
import type { Run } from '../metadata/sql/commands.ts'
import { createSessions } from '../platform/sessions.ts'
import type { Counters } from '../platform/counters.ts'
import { alone, type Siblings } from '../platform/siblings.ts'
import type { Sessions } from '../registry/ports/sessions.ts'
import type { Gate } from '../volume/gate.ts'
import type { WriterLink } from './writer-link.ts'

/** What a process has to do with the others that serve the same registry on this machine. */
export interface Member {
  /** The name of this node, for leases that others may want. */
  node: string
  siblings: Siblings
  sessions: Sessions
  /** Where is counted what all processes count together; undefined: here. */
  counters: Counters | undefined
  /** The way to the process that writes, where that is another one. */
  writer: WriterLink | undefined
  /** Lets the others write through this one. */
  host(writer: { run: Run; gate: Gate }): Promise<{ close(): void } | undefined>
  /** Resolves when no other needs this one any more. */
  othersEnded: Promise<void>
  /** How long to wait for another process to let go of the database. */
  lockWaitMs: number
}

/** A process without others. */
export function createAlone(): Member {
  return {
    node: randomUUID(),
    siblings: alone,
    sessions: createSessions(),
    counters: undefined,
    writer: undefined,
    host: async () => undefined,
    othersEnded: Promise.resolve(),
    lockWaitMs: 0,
  }
}
