import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, Server as NetServer, type Socket } from 'node:net'
import type { HttpConfiguration } from '../config/configuration.ts'
import type { Log } from '../platform/log.ts'
import { acceptWaiting, type Address, bind } from './bind.ts'
import { createHttp1, watchHeaders } from './http1.ts'
import { type Protocol, sniff } from './sniff.ts'
import type { TlsFront } from './tls.ts'
import type { Pace } from './watchdog.ts'

/** Answers one request; `expecting` when the client waits for `100 Continue`. */
export type Handle = (message: IncomingMessage, response: ServerResponse, expecting: boolean) => Promise<void>

export interface ListenerOptions {
  http: Pick<HttpConfiguration, 'address' | 'tls' | 'http2' | 'h2c'>
  handle: Handle
  /** Answers what the HTTP parser refused. */
  refuse(error: Error & { code?: string }, socket: Socket): void
  pace: Pace
  /** Whether this process asks for certificates, where they come by ACME: one of those that serve does. */
  orders: boolean
  log: Log
  clock: { now(): Date }
}

export interface Listener {
  /** Gives the address with the port that was bound. @throws Error that says what to do */
  listen(): Promise<Address>
  /** Begins to serve connections that another process accepts and hands over. */
  attend(): Promise<void>
  /** Serves such a connection. */
  take(socket: Socket): void
  /** Stops accepting, answers what is in flight, then closes; connections still busy after `graceMs` are cut. */
  close(graceMs: number): Promise<void>
}

/** How long what is on its way already may take when a stop is asked or a body is refused. */
const lingerMs = 500

/** Connections in, requests out: TCP or a unix socket, plain or TLS, HTTP/1.1 and HTTP/2. */
export function createListener(options: ListenerOptions): Listener {
  const { handle, refuse, pace, orders, log, clock } = options
  const { address, tls, http2: withHttp2, h2c } = options.http
  const http1 = createHttp1({ handle, refuse, headersMs: pace.headersMs, idleMs: pace.idleMs, lingerMs })
  const accepted = new Set<Socket>() // by us; without TLS and h2c HTTP/1 accepts by itself
  let http2: ReturnType<typeof import('./http2.ts').createHttp2> | undefined
  let front: TlsFront | undefined
  let server: NetServer = http1.server
  const silent = new Set<Socket>() // accepted, and said nothing yet
  const handed = new Set<Socket>() // accepted by another process
  let allClosed = () => {}

  /** Finds out what a connection is. */
  function accept(socket: Socket): void {
    accepted.add(socket)
    silent.add(socket)
    socket.on('error', () => undefined) // of who hangs up early; who it is handed to listens too
    socket.once('close', () => accepted.delete(socket) && silent.delete(socket))
    sniff(socket, pace.headersMs, (protocol, first) => {
      silent.delete(socket)
      if (!front) give(protocol, socket)
      else if (protocol === 'tls') front.take(socket, first)
      else refusePlain(socket)
    })
  }
  function give(protocol: Protocol, socket: Socket): void {
    if (protocol === 'http2' && http2) http2.take(socket)
    else http1.take(socket)
  }

  function cut(): void {
    http1.cut()
    for (const socket of accepted) socket.destroy()
  }

  async function prepare(): Promise<void> {
    if (!tls && !h2c) return
    if (tls ? withHttp2 : h2c) http2 = (await import('./http2.ts')).createHttp2({ handle, lingerMs })
    if (tls) {
      const { createTlsFront } = await import('./tls.ts')
      front = await createTlsFront(
        { tls, http2: withHttp2, handshakeMs: pace.headersMs, orders, log, clock },
        (socket) => give(socket.alpnProtocol === 'h2' ? 'http2' : 'http1', socket),
      )
    }
    server = createServer({ noDelay: true }, accept)
    watchHeaders(http1.server)
  }

  return {
    async listen() {
      await prepare()
      const bound = await bind(server, address)
      front?.start()
      return bound
    },
    async attend() {
      await prepare()
      watchHeaders(http1.server)
      front?.start()
    },
    take(socket) {
      handed.add(socket)
      socket.once('close', () => handed.delete(socket) && handed.size === 0 && allClosed())
      socket.setNoDelay(true)
      if (tls || h2c) return accept(socket)
      socket.allowHalfOpen = true // as http has it with those that it accepts
      http1.take(socket)
    },
    async close(graceMs) {
      await acceptWaiting(server)
      // Not http's own close: it cuts idle connections at once, under the feet of requests that are on the wire already.
      const closed = Promise.all([
        new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve())),
        handed.size > 0 && new Promise<void>((resolve) => (allClosed = resolve)),
      ])
      http1.drain()
      http2?.drain()
      const timers = [
        setTimeout(() => silent.forEach((socket) => socket.destroy()), lingerMs),
        setTimeout(cut, graceMs),
      ]
      await closed
      timers.forEach(clearTimeout)
      front?.stop()
      http1.stop()
    },
  }
}

/** As Go's server answers, so that who forgot the `s` of `https` learns it. */
function refusePlain(socket: Socket): void {
  const text = 'Client sent an HTTP request to an HTTPS server.\n'
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  )
  socket.resume()
  setTimeout(() => socket.destroy(), lingerMs).unref()
}
