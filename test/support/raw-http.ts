import { connect } from 'node:net'

export interface RawAnswer {
  status: number
  headers: [name: string, value: string][]
  body: Buffer
  /** Whether the whole body was there. */
  whole: boolean
}

export interface Exchange {
  /** Complete or cut answers in the order they came; interim ones (1xx) are left out. */
  answers: RawAnswer[]
  /** Whether the server ended the connection. */
  closed: boolean
  /** Milliseconds to the first byte of an answer, or to the end where none came. */
  firstMs: number
  totalMs: number
}

export interface ExchangeOptions {
  method?: string | undefined
  /** Ends our side once all is sent. */
  halfClose?: boolean | undefined
  /** Reads nothing for so many seconds. */
  unreadSeconds?: number | undefined
  /** Sends this text again and again: a slow client. */
  drip?: { text: string; every: number; times: number } | undefined
  timeoutMs?: number
  host?: string
}

/** Sends bytes as they are and reads what comes back, until the connection closes, an answer is whole, or the time is over. */
export function exchange(port: number, data: Uint8Array, options: ExchangeOptions = {}): Promise<Exchange> {
  const { method = 'GET', halfClose, unreadSeconds = 0, drip, timeoutMs = 8000, host = '127.0.0.1' } = options
  const begun = performance.now()
  const limit = drip ? (drip.times * drip.every + 3) * 1000 : timeoutMs + unreadSeconds * 1000
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let first: number | undefined
    let quiet: NodeJS.Timeout | undefined
    let sent = false
    const socket = connect({ port, host, allowHalfOpen: true })

    const finish = (closed: boolean) => {
      clearTimeout(deadline)
      clearTimeout(quiet)
      clearInterval(dripping)
      socket.destroy()
      const total = performance.now() - begun
      resolve({ answers: readAnswers(Buffer.concat(chunks), method), closed, firstMs: first ?? total, totalMs: total })
    }
    /** A whole answer after which nothing more comes for a while is all there is. */
    const settleWhenQuiet = () => {
      clearTimeout(quiet)
      quiet = setTimeout(() => {
        if (sent && readAnswers(Buffer.concat(chunks), method).at(-1)?.whole) finish(false)
      }, 600)
    }
    const deadline = setTimeout(() => finish(false), limit)
    let left = drip?.times ?? 0
    const dripping = drip && setInterval(() => left-- > 0 && socket.write(drip.text), drip.every * 1000)

    socket.on('data', (chunk: Buffer) => {
      first ??= performance.now() - begun
      chunks.push(chunk)
      settleWhenQuiet()
    })
    socket.on('end', () => finish(true))
    socket.on('error', () => undefined) // 'close' follows, and what came before the reset counts
    socket.on('close', () => finish(true))
    if (unreadSeconds > 0) {
      socket.pause()
      setTimeout(() => socket.resume(), unreadSeconds * 1000)
    }
    socket.write(data, () => {
      sent = true
      if (halfClose) socket.end()
      if (chunks.length > 0) settleWhenQuiet()
    })
  })
}

/** Splits what came over a connection into answers. */
export function readAnswers(bytes: Buffer, method: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let at = 0
  for (;;) {
    while (bytes.toString('latin1', at, at + 2) === '\r\n') at += 2
    const end = bytes.indexOf('\r\n\r\n', at)
    if (bytes.toString('latin1', at, at + 5) !== 'HTTP/' || end < 0) return answers
    const [statusLine = '', ...lines] = bytes.toString('latin1', at, end).split('\r\n')
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]
    })
    const status = Number(statusLine.split(' ')[1])
    const { body, next, whole } = readBody(bytes, end + 4, { status, method, headers: new Map(headers) })
    at = next
    if (status >= 200) answers.push({ status, headers, body, whole })
  }
}

interface Head {
  status: number
  method: string
  headers: Map<string, string>
}

function readBody(bytes: Buffer, start: number, { status, method, headers }: Head) {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { body: Buffer.alloc(0), next: start, whole: true }
  if (headers.get('transfer-encoding')?.includes('chunked')) return readChunks(bytes, start)
  const length = headers.has('content-length') ? Number(headers.get('content-length')) : bytes.length - start
  const body = bytes.subarray(start, start + length)
  return { body, next: start + body.length, whole: body.length === length }
}

function readChunks(bytes: Buffer, start: number) {
  const parts: Buffer[] = []
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at)
    const size = line < 0 ? NaN : Number.parseInt(bytes.toString('latin1', at, line), 16)
    if (Number.isNaN(size)) return { body: Buffer.concat(parts), next: bytes.length, whole: false }
    parts.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
    if (size === 0 || at > bytes.length) {
      return { body: Buffer.concat(parts), next: Math.min(at, bytes.length), whole: at <= bytes.length }
    }
  }
}
