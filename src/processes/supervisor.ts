import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Configuration } from '../config/configuration.ts'
import { acceptWaiting, type Address, bind } from '../listen/bind.ts'
import { type Counters, createLedger } from '../platform/counters.ts'
import type { Log } from '../platform/log.ts'
import { createSessions } from '../platform/sessions.ts'
import { createBalancer, type Taker } from './balancer.ts'
import type { Calls } from './calls.ts'
import { createSeat } from './seat.ts'
import type { Left } from './start.ts'

interface SupervisorOptions {
  configuration: Configuration
  /** How many processes serve. */
  count: number
  /** The program, and the command of it that joins. */
  program: string[]
  log: Log
}

/** How long a process may take to answer a question of another one. */
const answerMs = 2000
/** How much longer than clients a process may take to end. */
const endMs = 10_000

export interface Supervisor {
  /** Resolves with the address once there is somebody to serve. @throws Error when it cannot listen; `false` when the first process could not start */
  listen(): Promise<Address | undefined>
  /** Stops accepting; the processes answer what is in flight and end, the one that writes last. */
  close(graceMs?: number): Promise<void>
  /** Ends all at once. */
  kill(): void
}

/**
 * Accepts connections and hands them to the processes that serve them, which it starts again when they die. It keeps what must
 * outlive them, who writes to which upload and what is counted, and nothing else of the registry. When it dies itself they end at once.
 */
export function createSupervisor({ configuration, count, program, log }: SupervisorOptions): Supervisor {
  const { address, drainMs } = configuration.http
  const folder = configuration.databaseUrl === undefined ? privateFolder(configuration.storage.root) : undefined
  const node = randomUUID()
  const writerPath = folder && join(folder, 'writer.sock')
  const sessions = createSessions()
  const ledger: Counters = createLedger({ now: () => new Date() })
  const told = new Map<string, unknown>()
  const balancer = createBalancer()
  const server = createServer({ pauseOnConnect: true }, balancer.give)
  const seats = Array.from({ length: count }, (_, index) => seatAt(index))
  let runs: Promise<boolean>[] = []
  const removeFolder = () => folder && rmSync(folder, { recursive: true, force: true })

  function seatAt(index: number) {
    let taker: Taker | undefined
    return createSeat({
      program,
      start: { configuration, index, node, writerPath },
      log,
      began(calls) {
        for (const [topic, value] of told) calls.call('heard', [topic, value]).catch(() => {})
        taker = (socket: Socket) => calls.call('take', [], socket)
        balancer.add(taker)
        if (index === 0) firstBegan.resolve(true)
      },
      serve: () => serve(index, () => taker && balancer.remove(taker)),
    })
  }
  const firstBegan = Promise.withResolvers<boolean>()

  /** What a process asks for, and what to do when it is gone. */
  function serve(index: number, gone: () => void) {
    const entered = new Set<string>()
    const others = () => seats.flatMap((seat, other) => (other === index ? [] : (seat.present() ?? [])))
    return {
      handlers: {
        async enter(id: string) {
          const session = await sessions.enter(id)
          if (session) entered.add(id)
          return session && { offset: session.hashed?.offset ?? 0, digest: session.hashed?.digest() }
        },
        async leave(id: string, left: Left | undefined) {
          entered.delete(id)
          const { offset = 0, digest } = left ?? {}
          await sessions.leave(id, digest ? { hashed: { offset, digest: () => digest } } : {})
        },
        count: (name: keyof Counters, args: unknown[]) => (ledger[name] as (...given: unknown[]) => unknown)(...args),
        tell(topic: string, value: unknown) {
          told.set(topic, value)
          for (const other of others()) other.call('heard', [topic, value]).catch(() => {})
        },
        ask: (topic: string) => Promise.all(others().map((other) => answerOf(other, topic))),
      },
      ended() {
        gone()
        for (const id of entered) void sessions.leave(id, {})
      },
    }
  }

  return {
    async listen() {
      // The first makes what the others need; whoever is on the wire by then is served by it.
      runs = [seats[0]!.run(true)]
      void runs[0]!.then((could) => could || firstBegan.resolve(false))
      if (!(await firstBegan.promise)) return undefined
      const bound = await bind(server, address)
      runs.push(...seats.slice(1).map((seat) => seat.run(false)))
      return bound
    },
    async close(graceMs = drainMs) {
      await acceptWaiting(server)
      server.close()
      await Promise.race([balancer.settle(), setTimeout(answerMs, undefined, { ref: false })])
      for (const seat of seats) seat.stop()
      const late = globalThis.setTimeout(() => seats.slice(1).forEach((seat) => seat.kill()), graceMs + endMs)
      await Promise.all(runs.slice(1))
      clearTimeout(late)
      seats[0]!
        .present()
        ?.call('othersEnded')
        .catch(() => {})
      await runs[0]
      removeFolder()
    },
    kill() {
      for (const seat of seats) seat.kill()
      removeFolder()
    },
  }
}

/** A folder for nobody else, in memory or on a disk of the machine if there is one to write to: sockets lie badly on some volumes. */
function privateFolder(root: string): string {
  try {
    return mkdtempSync(join(tmpdir(), 'holdfast-'))
  } catch {
    mkdirSync(join(root, 'holdfast'), { recursive: true }) // in a container whose own files are read-only
    return mkdtempSync(join(root, 'holdfast/processes-'))
  }
}

/** What a process answers; undefined when it does not. */
async function answerOf(process: Calls, topic: string): Promise<unknown> {
  const late = setTimeout(answerMs, undefined, { ref: false })
  return Promise.race([process.call('asked', [topic]).catch(() => undefined), late])
}
