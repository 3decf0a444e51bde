import { rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { countersOver } from '../platform/counters.ts'
import type { Session, Sessions } from '../registry/ports/sessions.ts'
import type { Member } from './alone.ts'
import { type Calls, createCalls, type Handlers, type Message } from './calls.ts'
import type { Left, Start } from './start.ts'
import { hostWriter } from './writer-host.ts'
import { createWriterLink } from './writer-link.ts'

/** The processes of a supervisor that was killed are gone by then. */
const lockWaitMs = 3000

interface Served {
  take(socket: Socket): void
  stop(): Promise<void>
}

/** Of an upload that this process has received, the digester that can go on; so many of them. */
const maxRunning = 10_000

/**
 * Joins the processes of the supervisor that started this one. `start` makes the registry; what goes wrong in it is for the caller
 * to say.
 */
export function joinSupervisor(start: (begin: Start, member: Member) => Promise<Served>): void {
  const heard = new Map<string, unknown>()
  const listeners = new Map<string, (value: unknown) => void>()
  const answers = new Map<string, () => Promise<unknown>>()
  const othersEnded = Promise.withResolvers<void>()
  let served: Promise<Served> | undefined
  let folder: string | undefined

  const handlers: Handlers = {
    async start(begin: Start) {
      folder = begin.writerPath && dirname(begin.writerPath)
      const member = createMember(begin)
      await (served = start(begin, member))
    },
    take: async (socket: Socket) => (await served!).take(socket),
    stop: async () => (await served!).stop(),
    othersEnded: () => othersEnded.resolve(),
    heard(topic: string, value: unknown) {
      heard.set(topic, value)
      listeners.get(topic)?.(value)
    },
    asked: (topic: string) => answers.get(topic)?.(),
  }
  process.on('disconnect', () => {
    // Who started us is gone, and another may be about to take our place.
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    process.exit(1)
  })
  const calls = createCalls((message) => process.send?.(message, undefined, {}, () => {}), handlers)
  process.on('message', (message, handle) => calls.take(message as Message, handle))

  function createMember({ configuration, index, node, writerPath }: Start): Member {
    const { objects, encryption } = configuration.storage
    const isFirst = index === 0
    const writer = isFirst || writerPath === undefined ? undefined : createWriterLink(writerPath)
    return {
      node,
      sessions: createSharedSessions(calls, objects === undefined && encryption === undefined),
      counters: countersOver((name, args) => calls.call('count', [name, args])),
      writer,
      lockWaitMs,
      siblings: {
        isFirst,
        isWhole: () => writer === undefined || writer.isConnected(),
        tell: (topic, value) => void calls.call('tell', [topic, value]),
        hear(topic, listener) {
          listeners.set(topic, listener)
          if (heard.has(topic)) listener(heard.get(topic))
        },
        ask: (topic) => calls.call('ask', [topic]),
        answer: (topic, answer) => void answers.set(topic, answer),
      },
      host: async (parts) => (writerPath === undefined ? undefined : hostWriter(writerPath, parts)),
      othersEnded: isFirst ? othersEnded.promise : Promise.resolve(),
    }
  }
}

/**
 * Sessions that the supervisor keeps, so that they outlive any process; a digester that can go on stays here. Where others than
 * the processes of this machine may write to an upload a storage publishes only what the process that asks has seen: there a
 * digest that another one found is not believed, and the bytes are read once more.
 */
function createSharedSessions(calls: Calls, areOurs: boolean): Sessions {
  const running = new Map<string, Session['hashed']>()
  return {
    async enter(id) {
      const left = await calls.call<Left | undefined>('enter', [id])
      const own = running.get(id)
      running.delete(id)
      if (!left) return undefined
      const { offset, digest } = left
      if (digest === undefined || own?.offset === offset || !areOurs) return { hashed: own }
      return { hashed: { offset, digest: () => digest } }
    },
    async leave(id, { hashed }) {
      if (hashed?.update) running.set(id, hashed)
      if (running.size > maxRunning) running.delete(running.keys().next().value!)
      await calls.call('leave', [id, hashed && { offset: hashed.offset, digest: hashed.digest() }])
    },
  }
}
