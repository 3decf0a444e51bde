import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Log } from '../platform/log.ts'
import { type Calls, createCalls, type Handlers, type Message } from './calls.ts'
import type { Start } from './start.ts'

interface SeatOptions {
  /** The program, and the command of it that joins. */
  program: string[]
  start: Start
  /** What the process may ask for; `ended` is called when it can ask for nothing more. */
  serve(): { handlers: Handlers; ended(): void }
  /** The process can serve. */
  began(calls: Calls): void
  log: Log
}

/** A process that has run for so long had no trouble with its start. */
const steadyMs = 10_000
const [firstPauseMs, lastPauseMs] = [100, 30_000]
/** Every process is asked whether it is there; one that owes so many answers hangs. */
const [askEveryMs, maxOwed] = [5000, 4]

/** The place of one process: whenever that dies another takes it, later and later when it does so at once. */
export function createSeat({ program, start, serve, began, log }: SeatOptions) {
  const process = start.index
  let child: ChildProcess | undefined
  let present: Calls | undefined
  let isStopping = false
  const stopping = new AbortController()

  /** Runs one process to its end; false when it never could serve. */
  async function runOne(isFirstOfAll: boolean): Promise<boolean> {
    const [file, ...args] = program as [string, ...string[]]
    const own = fork(file, args, { serialization: 'advanced' })
    const { handlers, ended } = serve()
    const calls = createCalls(
      (message, handle) => own.connected && own.send(message, handle as Socket, { keepOpen: true }, () => {}),
      handlers,
    )
    let isGone = false
    let watch: NodeJS.Timeout | undefined
    child = own
    own.on('message', (message, handle) => !isGone && calls.take(message as Message, handle))
    const exited = new Promise<{ code?: number | null; signal?: string | null; error?: string }>((resolve) => {
      own.once('exit', (code, signal) => resolve(signal ? { signal } : { code }))
      own.on('error', (error) => own.pid ?? resolve({ error: String(error) })) // it could not even be made
    })
    void calls.call('start', [start]).then(
      () => {
        present = calls
        log.info('process.started', { process, pid: own.pid })
        watch = watchOver(calls, () => {
          log.error('process.hangs', { process, pid: own.pid })
          own.kill('SIGKILL')
        })
        began(calls)
      },
      () => {}, // it has said why
    )
    const end = await exited
    isGone = true
    clearInterval(watch)
    const hasServed = present !== undefined
    present = child = undefined
    calls.end()
    ended()
    // The first one of all has said itself why it could not start.
    if (!isStopping && (hasServed || !isFirstOfAll)) log.error('process.ended', { process, pid: own.pid, ...end })
    return hasServed
  }

  return {
    /** Runs processes until it is stopped. @returns whether the first of them could serve */
    async run(isNeeded: boolean): Promise<boolean> {
      let pauseMs = 0
      for (let hasServed = !isNeeded; !isStopping;) {
        const begun = performance.now()
        hasServed = (await runOne(!hasServed)) || hasServed
        if (!hasServed) return false
        if (isStopping) break
        pauseMs = performance.now() - begun > steadyMs ? 0 : Math.min(lastPauseMs, pauseMs * 2 || firstPauseMs)
        await setTimeout(pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
      return true
    },
    present: () => present,
    /** Tells the process to stop; from now on none takes its place. */
    stop(): void {
      isStopping = true
      stopping.abort()
      if (present) present.call('stop').catch(() => {})
      else child?.kill('SIGKILL') // it serves nobody yet
    },
    kill: () => void child?.kill('SIGKILL'),
  }
}

/** Tells when a process hangs. Counted in questions, not in time: a machine that was asleep has asked none. */
function watchOver(calls: Calls, hangs: () => void): NodeJS.Timeout {
  let owed = 0
  return setInterval(() => {
    if (owed++ >= maxOwed) return hangs()
    calls.call('asked', ['are you there']).then(
      () => (owed = 0),
      () => {}, // it is gone, which is known
    )
  }, askEveryMs).unref()
}
