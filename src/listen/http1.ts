import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '../platform/http.ts'
import type { Handle } from './listener.ts'

interface Connection {
  /** Requests that came and are not answered yet. */
  busy: number
  /** Ends with the last of them. */
  last: Promise<void>
  /** How many looks at the connection have found it waiting. */
  idle: number
  response: ServerResponse | undefined
}

/** How often a connection that waits is looked at before it is closed. */
const looks = 15

export interface Http1Options {
  handle: Handle
  /** Answers what the parser refused. */
  refuse(error: Error & { code?: string }, socket: Socket): void
  headersMs: number
  idleMs: number
  lingerMs: number
}

/** HTTP/1.1 over connections that the server accepts itself or is given by `take`. */
export function createHttp1({ handle, refuse, headersMs, idleMs, lingerMs }: Http1Options) {
  const connections = new Map<Socket, Connection>()
  let closing = false

  const server = http.createServer({
    requestTimeout: 0, // a layer may take hours: the watchdog guards the rate instead
    headersTimeout: headersMs,
    connectionsCheckingInterval: Math.min(2000, headersMs),
    optimizeEmptyRequests: true, // most have no body: a stream that tells of nothing is a sixth of the work
    keepAliveTimeout: 0, // it sets a timer with every answer: a look at all connections now and then costs less
    maxHeaderSize: 64 << 10,
    highWaterMark: 64 << 10,
  })
  server.on('request', (message, response) => queue(message, response, false))
  server.on('checkContinue', (message, response) => queue(message, response, true))
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { busy: 0, last: Promise.resolve(), idle: 0, response: undefined })
    socket.once('close', () => connections.delete(socket))
  })
  server.on('clientError', (error, socket: Socket) => {
    // A refusal among the bytes of an answer would be taken for content, and one after the last answer for another.
    const response = connections.get(socket)?.response
    if (response?.headersSent && !(response.writableEnded && response.shouldKeepAlive)) socket.destroySoon()
    else refuse(error, socket)
  })

  const sweeper = setInterval(closeIdle, idleMs / looks).unref()
  function closeIdle(): void {
    for (const [socket, connection] of connections)
      if (connection.busy === 0 && connection.idle++ >= looks) socket.destroySoon()
  }

  /** Serves the requests of one connection one after the other: who pipelines may rely on their order (RFC 9112 9.3.2). */
  function queue(message: IncomingMessage, response: ServerResponse, expecting: boolean): void {
    const connection = connections.get(message.socket)
    if (!connection) return // closed already
    connection.idle = 0
    const serveNow = () => serve(connection, message, response, expecting)
    connection.last = connection.busy++ === 0 ? serveNow() : connection.last.then(serveNow)
  }

  async function serve(connection: Connection, message: IncomingMessage, response: ServerResponse, expecting: boolean) {
    connection.response = response
    if (closing) response.shouldKeepAlive = false
    await handle(message, response, expecting)
    connection.busy--
    connection.idle = 0
    if (closing) closeWhenIdle(message.socket) // an answer's head may have gone out before the stop and kept the connection
  }

  function closeWhenIdle(socket: Socket): void {
    const due = performance.now() + lingerMs
    setTimeout(() => {
      // Where we come late, so do clients with what they are about to send.
      if (performance.now() > due + lingerMs / 5) return closeWhenIdle(socket)
      // Not before what has come is read: timers are first.
      setImmediate(() => connections.get(socket)?.busy === 0 && socket.destroySoon())
    }, lingerMs).unref()
  }

  return {
    server,
    take(socket: Socket): void {
      server.emit('connection', socket)
      socket.resume() // whoever looked at its first bytes paused it
    },
    /** Answers what is in flight or on the wire already, then closes each connection. */
    drain(): void {
      closing = true
      for (const [socket, { response }] of connections) {
        if (response && !response.headersSent) response.shouldKeepAlive = false
        closeWhenIdle(socket)
      }
    },
    cut(): void {
      for (const socket of connections.keys()) socket.destroy()
    },
    stop(): void {
      clearInterval(sweeper)
      server.close() // ends http's own timer
    },
  }
}

/** Without a listening socket of its own http starts no timer, and would wait for slow headers for ever. */
export function watchHeaders(server: Server): void {
  server.emit('listening')
}
