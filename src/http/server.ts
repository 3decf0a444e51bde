import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import type { Authenticator, Authorizer, Principal } from '../auth/types.ts'
import { OciError } from '../oci/errors.ts'
import { lengthOf } from './body.ts'
import { answerBrokenRequest, refuseDoubleHeaders, toOciError } from './refusal.ts'
import { createRouter } from './router.ts'
import type { HttpReply, HttpRequest, Route } from './types.ts'
import { createWatchdog, type Pace } from './watchdog.ts'

export interface HttpServerOptions {
  routes: Route[]
  authenticators?: Authenticator[]
  authorizer?: Authorizer | undefined
  /** Told about errors that are ours, not the client's. */
  onError(error: unknown, request: { method: string; path: string }): void
  pace?: Partial<Pace>
}

export interface HttpServer {
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  /** Stops accepting, answers what is in flight, then closes; connections still busy after `graceMs` are cut. */
  close(graceMs?: number): Promise<void>
}

const baseHeaders = { 'Docker-Distribution-Api-Version': 'registry/2.0', 'X-Content-Type-Options': 'nosniff' }
/** A refused body longer than this is not read to its end: the connection closes instead. */
const drainLimit = 1 << 20
/** How long an idle connection may still bring a request after a stop was asked: it may be on its way already. */
const lingerMs = 1000

/** The listener: request → route → access → handler → reply, and every error turned into an answer in one place. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const find = createRouter(options.routes)
  const watchdog = createWatchdog(options.pace)
  const sockets = new Map<Socket, number>() // requests in flight on each connection
  let closing = false

  const server = createServer({
    requestTimeout: 0, // a layer may take hours: the watchdog guards the rate instead
    headersTimeout: watchdog.pace.headersMs,
    connectionsCheckingInterval: Math.min(2000, watchdog.pace.headersMs),
    keepAliveTimeout: 75_000, // longer than the idle time of usual load balancers
    maxHeaderSize: 64 << 10,
    highWaterMark: 64 << 10,
  })
  server.on('request', (request, response) => void serve(request, response, false))
  server.on('checkContinue', (request, response) => void serve(request, response, true))
  server.on('clientError', answerBrokenRequest)
  server.on('connection', (socket: Socket) => {
    sockets.set(socket, 0)
    socket.on('close', () => sockets.delete(socket))
  })

  function closeWhenIdle(socket: Socket, afterMs = lingerMs): void {
    setTimeout(() => sockets.get(socket) === 0 && socket.destroy(), afterMs).unref()
  }

  async function serve(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const socket = message.socket
    sockets.set(socket, (sockets.get(socket) ?? 0) + 1)
    response.on('close', () => {
      watchdog.forget(message)
      const left = (sockets.get(socket) ?? 1) - 1
      if (sockets.has(socket)) sockets.set(socket, left)
      if (closing) closeWhenIdle(socket) // its head may have gone out before the stop and kept the connection
    })
    let reply: HttpReply
    try {
      reply = await answer(message, response, expectsContinue)
    } catch (error) {
      if (socket.destroyed) return // the client hung up: nobody to tell
      reply = replyOf(
        toOciError(error, (cause) => options.onError(cause, { method: message.method ?? '', path: message.url ?? '' })),
      )
    }
    try {
      await send(message, response, reply)
    } catch (error) {
      response.destroy() // the status is out, so a cut is the only way to say that the content is not whole
      if (!socket.destroyed) options.onError(error, { method: message.method ?? '', path: message.url ?? '' })
    }
  }

  async function answer(
    message: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<HttpReply> {
    refuseDoubleHeaders(message.rawHeaders)
    const url = originForm(message.url ?? '')
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const method = message.method ?? ''
    const { route, params } = find(method, path)
    let query: URLSearchParams | undefined
    const request: HttpRequest = {
      method,
      path,
      params,
      get query() {
        return (query ??= new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)))
      },
      headers: message.headers,
      principal: await authenticate(message),
      body() {
        if (expectsContinue) response.writeContinue()
        expectsContinue = false
        watchdog.watchBody(message)
        return message
      },
    }
    await authorize(route, request)
    return route.handle(request)
  }

  async function authenticate(message: IncomingMessage): Promise<Principal> {
    const address = message.socket.remoteAddress ?? ''
    for (const authenticator of options.authenticators ?? []) {
      const principal = await authenticator.authenticate(message.headers, address)
      if (principal) return principal
    }
    return { kind: 'anonymous', address }
  }

  async function authorize(route: Route, request: HttpRequest): Promise<void> {
    const needed = route.access(request) // asked in any case: it also checks the names in the path
    if (!options.authorizer) return
    for (const access of needed) {
      if (await options.authorizer.allows(request.principal, access)) continue
      throw new OciError(request.principal.kind === 'anonymous' ? 'UNAUTHORIZED' : 'DENIED')
    }
  }

  async function send(
    message: IncomingMessage,
    response: ServerResponse,
    { status, headers, body }: HttpReply,
  ): Promise<void> {
    const streamed = typeof body === 'object' && 'content' in body ? body : undefined
    const whole = streamed ? undefined : (body as string | Uint8Array | undefined)
    try {
      const all: Record<string, string> = { ...baseHeaders, ...headers }
      if (!streamed && status !== 204 && status !== 304)
        all['Content-Length'] ??= String(Buffer.byteLength(whole ?? ''))
      const unread = !message.complete
      const refused = unread && (lengthOf(message.headers) ?? Infinity) > drainLimit
      if (closing || refused) all.Connection = 'close'
      response.writeHead(status, all)
      if (refused) refuseRest(message)
      else if (unread) message.resume()
      if (streamed && message.method !== 'HEAD') {
        watchdog.watchReply(message, response)
        await streamed.content.sendTo(response, streamed.range)
      }
      response.end(message.method === 'HEAD' ? undefined : whole)
    } finally {
      await streamed?.content.close()
    }
  }

  return {
    listen: (host, port) => listen(server, host, port),
    async close(graceMs = 30_000) {
      closing = true
      // Not http's own close: it cuts idle connections at once, under the feet of requests that are on the wire already.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      for (const socket of sockets.keys()) closeWhenIdle(socket, Math.min(lingerMs, graceMs))
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      await closed
      clearTimeout(cut)
      server.close() // ends http's own timer
      watchdog.stop()
    },
  }
}

function replyOf(error: OciError): HttpReply {
  return {
    status: error.status,
    headers: { 'Content-Type': 'application/json', ...error.headers },
    body: error.toJson(),
  }
}

/** Lets the answer reach a client that is still sending, then closes without reading the rest. */
function refuseRest(message: IncomingMessage): void {
  const { socket } = message
  message.pause()
  setTimeout(() => socket.destroy(), 1000).unref()
}

/** The path of an absolute-form target (RFC 9112 3.2.2), else the target as it is. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const match = /^https?:\/\/[^/?#]*(\/.*)$/i.exec(target)
  if (match) return match[1]!
  throw new OciError('REQUEST_INVALID', { message: 'the request target must be a path' })
}

function listen(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off('error', reject)
      const address = server.address()
      resolve({ host, port: typeof address === 'object' && address ? address.port : port })
    })
  })
}
