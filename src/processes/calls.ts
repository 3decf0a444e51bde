/** What goes over the way between two processes: a call, or the answer to one. */
export type Message =
  | { call: number; name: string; args: unknown[] }
  | { answer: number; value?: unknown; error?: { message: string; code?: string | undefined } }

export type Handlers = Record<string, (...args: never[]) => unknown>

export interface Calls {
  /** @throws Error of the other side, with its code, or `Lost` */
  call<Result>(name: string, args?: unknown[], handle?: unknown): Promise<Result>
  /** Something came from the other side; a handle comes to the handler as its last argument. */
  take(message: Message, handle?: unknown): void
  /** The way is gone. */
  end(): void
}

/** The other side has gone without an answer: what was asked of it may be done or not. */
export class Lost extends Error {}

/** Calls in both directions over any way that brings messages in order. */
export function createCalls(send: (message: Message, handle?: unknown) => void, handlers: Handlers = {}): Calls {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  let isOver = false

  async function answer(id: number, name: string, args: unknown[]): Promise<void> {
    try {
      const handler = handlers[name] as ((...args: unknown[]) => unknown) | undefined
      if (!handler) throw new Error(`there is nothing called ${name}`)
      send({ answer: id, value: await handler(...args) })
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException
      send({ answer: id, error: { message, code } })
    }
  }

  return {
    call<Result>(name: string, args: unknown[] = [], handle?: unknown) {
      if (isOver) return Promise.reject(lost())
      const pending = Promise.withResolvers<unknown>()
      waiting.set(++last, pending)
      send({ call: last, name, args }, handle)
      return pending.promise as Promise<Result>
    },
    take(message, handle) {
      if ('call' in message)
        return void answer(message.call, message.name, handle ? [...message.args, handle] : message.args)
      const pending = waiting.get(message.answer)
      waiting.delete(message.answer)
      if (!message.error) pending?.resolve(message.value)
      else pending?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }))
    },
    end() {
      isOver = true
      for (const { reject } of waiting.values()) reject(lost())
      waiting.clear()
    },
  }
}

const lost = () => new Lost('the other process has gone')
