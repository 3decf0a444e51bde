import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Run } from '../metadata/sql/commands.ts'
import { OciError } from '../oci/errors.ts'
import type { Gate } from '../volume/gate.ts'
import { type Calls, Lost } from './calls.ts'
import { callsOver } from './frames.ts'
import type { VolumeState } from './writer-host.ts'

/** A new writer needs about a second. */
const waitMs = 10_000
const retryMs = 50

/** Commands that may be done twice, when it is not known whether they were done: the second time changes nothing, or says it again. */
const repeatable = new Set([
  'commitBlob',
  'mountBlob',
  'createUpload',
  'deleteUpload',
  'deleteUploadState',
  'extendInVault',
  'deleteFromVault',
  'recordEvents',
  'setCursor',
  'deleteCursor',
])

/** The way of a process that reads to the one that writes. */
export interface WriterLink {
  run: Run
  gate: Omit<Gate, 'sizeOf'>
  /** Changes with the writer; 0 while there is none, or it has not yet compared everything with the tree of links. */
  term(): number
  isConnected(): boolean
  close(): void
}

/**
 * Connects to the writer, and to the next one when that is gone; who calls meanwhile waits for it.
 * @throws OciError UNAVAILABLE, from its calls
 */
export function createWriterLink(path: string): WriterLink {
  let calls: Calls | undefined
  let connections = 0
  let state: VolumeState = { isOpen: false, isMissing: false }
  let connected = Promise.withResolvers<Calls>()
  const closing = new AbortController()
  void stayConnected()

  async function stayConnected(): Promise<void> {
    while (!closing.signal.aborted) {
      const socket = connect(path)
      try {
        await once(socket, 'connect', { signal: closing.signal })
      } catch {
        socket.destroy()
        await setTimeout(retryMs, undefined, { signal: closing.signal }).catch(() => {})
        continue
      }
      const closed = new Promise<void>((resolve) =>
        socket.once('close', () => {
          calls = undefined // before anybody is told
          connected = Promise.withResolvers()
          resolve()
        }),
      )
      calls = callsOver(socket)
      connections++
      state = { isOpen: false, isMissing: false } // as the new one will say
      connected.resolve(calls)
      closing.signal.addEventListener('abort', () => socket.destroy(), { once: true })
      await closed
    }
  }

  /** The writer, as soon as there is one. */
  async function writer(): Promise<Calls> {
    if (calls) return calls
    const late = new AbortController()
    const found = await Promise.race([connected.promise, setTimeout(waitMs, undefined, { signal: late.signal })])
    late.abort()
    if (!found) throw unavailable('the process that writes to the database is away: try again')
    return found
  }

  async function ask<Result>(name: string, args: unknown[], mayRepeat = true): Promise<Result> {
    for (;;) {
      try {
        return await (await writer()).call<Result>(name, args)
      } catch (error) {
        if (!(error instanceof Lost)) throw error
        if (!mayRepeat)
          throw unavailable(
            'the process that writes to the database has ended before it answered: look whether this was done',
          )
      }
    }
  }

  return {
    run: ((name: string, ...args: unknown[]) =>
      ask('run', [name, ...args], repeatable.has(name) || isPlainPush(name, args))) as Run,
    gate: {
      isOpen: () => state.isOpen,
      isMissing: () => state.isMissing,
      async ready(repository) {
        state = await ask<VolumeState>('ready', [repository])
      },
      names: () => ask('names', []),
    },
    term: () => (calls && state.isOpen ? connections : 0),
    isConnected: () => calls !== undefined,
    close: () => closing.abort(),
  }
}

/** A push that asks nothing of where its tag stands comes to the same when it is done again. */
function isPlainPush(name: string, [push]: unknown[]): boolean {
  return name === 'pushManifest' && (push as { expects?: unknown }).expects === undefined
}

function unavailable(message: string): OciError {
  return new OciError('UNAVAILABLE', { message, headers: { 'Retry-After': '1' } })
}
