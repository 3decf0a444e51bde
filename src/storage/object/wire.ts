import type { IncomingHttpHeaders } from 'node:http'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type Endpoint, hostHeader, type StoreRequest } from './address.ts'
import { silence } from './body.ts'
import { type ObjectBody, StoreError } from './store.ts'

/** What is read at once: the more, the rarer the store has to wait for us. Measured best of 64 KiB to 1 MiB. */
const bufferSize = 1 << 20
/** So many connections get a large buffer, the others a small one: memory stays bounded when hundreds read at once. */
const maxLarge = 24
const smallBufferSize = 64 << 10
const maxHead = 64 << 10
const maxIdle = 8
const connectMs = 5000

interface Connection extends ObjectBody {
  /** Where it goes. */
  to: string
  send(head: string): void
  /** Nothing is asked for: whatever happens now ends it. */
  rest(): void
  isOpen(): boolean
}

/**
 * Reads objects over connections of its own. Without TLS each has one buffer that is used again: Node's client copies every piece
 * twice and makes garbage of it, which costs five times as much. It knows whole answers of a declared length and nothing else; for
 * the rest there is Node's.
 */
export function createWire({ skipVerify }: { skipVerify: boolean }) {
  const idle: Connection[] = []
  let open = 0

  function connectionTo(endpoint: Endpoint): Connection | Promise<Connection> {
    for (let at = idle.length; at-- > 0;) {
      if (idle[at]!.to !== hostHeader(endpoint)) continue
      const [connection] = idle.splice(at, 1)
      if (connection!.isOpen()) return connection!
    }
    const size = open++ < maxLarge ? bufferSize : smallBufferSize
    return connect(endpoint, skipVerify, size, () => open--)
  }

  /** Sends a GET. @returns undefined when it is better sent by Node's client, which then says why */
  return async function get({ endpoint, path, headers }: StoreRequest, idleMs: number) {
    const lines = Object.entries({ host: hostHeader(endpoint), ...headers }).map(([name, value]) => `${name}: ${value}`)
    const head = [`GET ${path} HTTP/1.1`, ...lines]
    if (head.some((line) => /[^\t\x20-\x7e]/.test(line))) return undefined
    let connection: Connection | undefined
    try {
      connection = await connectionTo(endpoint)
      connection.send(`${head.join('\r\n')}\r\n\r\n`)
      const { status, answered, rest } = await readHead(connection, idleMs)
      const length = Number(answered['content-length'] ?? Number.NaN)
      const isPlain = answered['transfer-encoding'] === undefined && Number.isSafeInteger(length) && length >= 0
      if ((status !== 200 && status !== 206) || !isPlain) throw new StoreError('not for us')
      const own = connection
      const keep = () => {
        if (answered.connection === 'close' || idle.length >= maxIdle) return own.destroy()
        own.rest()
        idle.push(own)
      }
      return { status, headers: answered, body: sized(own, length, rest, keep) }
    } catch {
      connection?.destroy()
      return undefined
    }
  }
}

/** Reads up to the end of the headers; what came behind them is the first of the body. */
async function readHead(connection: Connection, idleMs: number) {
  let held = Buffer.alloc(0)
  for (;;) {
    const chunk = await connection.next(idleMs)
    if (!chunk) throw new StoreError('the store closed the connection')
    const all = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const end = all.indexOf('\r\n\r\n')
    if (end < 0) {
      if (all.length > maxHead) throw new StoreError('the headers are too long')
      held = Buffer.from(all)
      continue
    }
    const [first = '', ...lines] = all.toString('latin1', 0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1])
    const answered: IncomingHttpHeaders = {}
    for (const line of lines) {
      const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[\t ]*(.*?)[\t ]*$/.exec(line) ?? []
      if (name === undefined) throw new StoreError('a header that is none')
      const key = name.toLowerCase()
      if (key === 'content-length' && key in answered) throw new StoreError('two lengths')
      answered[key] = value
    }
    return { status, answered, rest: all.subarray(end + 4) }
  }
}

/** `length` bytes of a connection, which is kept once it was asked what comes behind them: then nobody reads from its buffer. */
function sized(connection: Connection, length: number, first: Buffer, keep: () => void): ObjectBody {
  let missing = length
  let rest: Buffer | undefined = first
  let isRead = false
  let isDone = false
  return {
    async next(idleMs) {
      isRead = missing === 0
      if (isRead || isDone) return undefined
      const chunk = rest?.length ? rest : await connection.next(idleMs)
      rest = undefined
      if (!chunk) throw new StoreError(`the store sent ${missing} bytes too few`)
      if (chunk.length > missing) throw new StoreError('the store sent more than it said')
      missing -= chunk.length
      return chunk
    },
    destroy() {
      if (isDone) return
      isDone = true
      if (isRead) keep()
      else connection.destroy()
    },
  }
}

async function connect(
  endpoint: Endpoint,
  skipVerify: boolean,
  bufferSize: number,
  closed: () => void,
): Promise<Connection> {
  const { protocol, hostname, port } = endpoint
  let come: Buffer | undefined
  let ended: Error | true | undefined
  let isResting = false
  let wake = () => {}
  const take = (bytes: Buffer) => {
    come = bytes
    wake()
    if (isResting) socket.destroy() // nothing was asked for
  }
  const options = { host: hostname, port, timeout: connectMs }
  const socket =
    protocol === 'http:' ? connectPlain({ ...options, onread: into(bufferSize, take) }) : await connectTls()
  async function connectTls(): Promise<Socket> {
    const servername = isIP(hostname) ? '' : hostname
    return (await import('node:tls')).connect({ ...options, servername, rejectUnauthorized: !skipVerify })
  }
  const end = (why: Error | true) => {
    ended ??= why
    wake()
  }
  socket.on('error', end).on('end', () => end(true))
  socket.on('close', () => (end(true), closed())).on('timeout', () => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket
      .once(protocol === 'http:' ? 'connect' : 'secureConnect', resolve)
      .once('error', reject)
      .once('close', reject)
  })
  socket.setTimeout(0)
  // TLS goes on with what it has received, whatever `onread` says: Node keeps it for us.
  if (protocol === 'https:') socket.pause().on('data', (chunk: Buffer) => (socket.pause(), take(chunk)))
  return {
    to: hostHeader(endpoint),
    isOpen: () => ended === undefined && come === undefined,
    send(head) {
      isResting = false
      socket.ref().write(head, 'latin1')
    },
    rest() {
      isResting = true
      socket.unref().resume()
    },
    async next(idleMs) {
      if (come === undefined) {
        const late = setTimeout(() => socket.destroy(silence(idleMs)), idleMs)
        await new Promise<void>((resolve) => {
          wake = resolve
          if (ended === undefined) socket.resume()
          else resolve()
        })
        clearTimeout(late)
      }
      const chunk = come
      come = undefined
      if (chunk) return chunk
      if (ended === true) return undefined
      throw ended instanceof StoreError
        ? ended
        : new StoreError(`the store broke off: ${ended?.message}`, { cause: ended })
    },
    destroy: () => void socket.destroy(),
  }
}

/** Reads into a buffer of this size, which is taken until the next bytes are asked for. */
function into(size: number, take: (bytes: Buffer) => void) {
  const buffer = Buffer.allocUnsafeSlow(size)
  const callback = (bytes: number) => (take(buffer.subarray(0, bytes)), false)
  return { buffer, callback }
}
