import { Worker } from 'node:worker_threads'
import { OciError } from '../../oci/errors.ts'

export type Question = { id: number; password: string; hash?: string }
export type Answer = { id: number } & ({ value: boolean | string } | { error: string })

interface Waiting {
  resolve(value: boolean | string): void
  reject(error: Error): void
}

/** Comparing takes a tenth of a second of a processor: who waits behind so many others is told to come again. */
const maxWaiting = 100
/** The thread ends when nobody asked for so long. */
const idleMs = 10_000

/** bcrypt in a thread of its own, which exists only while it is needed. */
export function createBcrypt() {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let idle: NodeJS.Timeout | undefined
  let lastId = 0

  function ask(question: Omit<Question, 'id'>): Promise<boolean | string> {
    if (waiting.size >= maxWaiting) {
      throw new OciError('TOOMANYREQUESTS', {
        message: 'too many sign-ins at once: try again in a moment',
        headers: { 'Retry-After': '2' },
      })
    }
    clearTimeout(idle)
    worker ??= start()
    worker.ref()
    const id = ++lastId
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker!.postMessage({ id, ...question } satisfies Question)
    })
  }

  function start(): Worker {
    const started = new Worker(new URL(import.meta.resolve('./bcrypt-thread.ts')))
    started.on('message', (answer: Answer) => {
      const { resolve, reject } = waiting.get(answer.id)!
      waiting.delete(answer.id)
      if ('value' in answer) resolve(answer.value)
      else reject(new Error(answer.error))
      if (waiting.size > 0) return
      started.unref()
      idle = setTimeout(stop, idleMs).unref()
    })
    started.on('error', (error) => {
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
      worker = undefined
    })
    return started
  }

  function stop(): void {
    clearTimeout(idle)
    void worker?.terminate()
    worker = undefined
  }

  return {
    /** @throws OciError TOOMANYREQUESTS */
    compare: async (password: string, hash: string) => (await ask({ password, hash })) === true,
    hash: async (password: string) => String(await ask({ password })),
    stop,
  }
}
