import type { IncomingMessage, ServerResponse } from 'node:http'

/** How slow a client may be. */
export interface Pace {
  /** Milliseconds for the headers of a request. */
  headersMs: number
  /** Milliseconds that a connection may wait for its next request. */
  idleMs: number
  /** Bytes a second that a body or an answer must move in the long run. */
  bytesPerSecond: number
  /** Seconds a client has at the start, and the most it can save up by being faster. */
  startSeconds: number
  maxSeconds: number
}

// Load balancers drop idle connections after a minute; who drops them first should not be us.
const defaults: Pace = { headersMs: 10_000, idleMs: 75_000, bytesPerSecond: 1024, startSeconds: 15, maxSeconds: 120 }
const tickSeconds = 1

interface Watched {
  message: IncomingMessage
  response: ServerResponse | undefined
  connection: unknown
  credit: number
  moved: number
}

/**
 * Cuts bodies and downloads slower than the pace, however long they take: each starts with some seconds of credit, earns
 * more with the bytes it moves and loses one a second. A layer of hours goes through and may pause two minutes; one byte a
 * second does not. Node's own `requestTimeout` would end every upload after five minutes.
 */
export function createWatchdog(pace: Partial<Pace> = {}) {
  const settings = { ...defaults, ...pace }
  const watched = new Map<IncomingMessage, Watched>()
  const timer = setInterval(() => watched.size > 0 && tick(), tickSeconds * 1000).unref()

  /** Many streams share an HTTP/2 connection: each has its part of what that moved. */
  function tick(): void {
    const sharing = new Map<unknown, number>()
    for (const { connection } of watched.values()) sharing.set(connection, (sharing.get(connection) ?? 0) + 1)
    for (const entry of watched.values()) check(entry, sharing.get(entry.connection)!)
  }

  function watch(message: IncomingMessage, response?: ServerResponse): void {
    const connection = 'connection' in message.socket ? message.socket.connection : message.socket
    watched.set(message, { message, response, connection, credit: settings.startSeconds, moved: movedBytes(message) })
  }

  function check(entry: Watched, sharing: number): void {
    const { message, response } = entry
    const done = message.complete && (!response || response.writableFinished)
    if (done || message.socket.destroyed) return void watched.delete(message)
    const moved = movedBytes(message)
    const earned = (moved - entry.moved) / settings.bytesPerSecond / sharing
    entry.moved = moved
    // While we are the slow side (storage, or nothing left to read) the client owes nothing.
    const owes = response
      ? response.writableLength > 0 || message.socket.writableLength > 0
      : !message.complete && !message.isPaused()
    entry.credit = Math.min(settings.maxSeconds, entry.credit + earned - (owes ? tickSeconds : 0))
    if (entry.credit < 0) message.socket.destroy()
  }

  return {
    pace: settings,
    watchBody: (message: IncomingMessage) => watch(message),
    watchReply: watch,
    stop: () => clearInterval(timer),
  }
}

function movedBytes({ socket }: IncomingMessage): number {
  return socket.bytesRead + socket.bytesWritten - socket.writableLength
}
