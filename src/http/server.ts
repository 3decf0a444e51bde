import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { finished } from 'node:stream/promises'
import type { Access, Authenticator, Authorizer, Principal } from '../auth/types.ts'
import { OciError } from '../oci/errors.ts'
import { lengthOf } from './body.ts'
import { answerBrokenRequest, refuseDoubleHeaders, toOciError } from './refusal.ts'
import { createRouter } from './router.ts'
import { IncomingRequest } from './request.ts'
import { type ContentRange, type HttpReply, reply, type Route } from './types.ts'
import { createWatchdog, type Pace } from './watchdog.ts'

export interface HttpServerOptions {
  routes: Route[]
  authenticators?: Authenticator[] | undefined
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

interface Connection {
  /** Requests that came and are not answered yet. */
  busy: number
  /** Ends with the last of them. */
  last: Promise<void>
}

/** A refused body longer than this is not read to its end: the connection closes soon. */
const drainLimit = 1 << 20
/** How long what is on its way already may take: requests when a stop is asked, the bytes of a body when it is refused. */
const lingerMs = 500

/** The listener: request → route → access → handler → reply, and every error turned into an answer in one place. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const find = createRouter(options.routes)
  const watchdog = createWatchdog(options.pace)
  const connections = new Map<Socket, Connection>()
  const answering = new WeakSet<Socket>() // whose answer has begun and goes on
  let closing = false

  const server = createServer({
    requestTimeout: 0, // a layer may take hours: the watchdog guards the rate instead
    headersTimeout: watchdog.pace.headersMs,
    connectionsCheckingInterval: Math.min(2000, watchdog.pace.headersMs),
    keepAliveTimeout: 75_000, // longer than the idle time of usual load balancers
    maxHeaderSize: 64 << 10,
    highWaterMark: 64 << 10,
  })
  server.on('request', (message, response) => take(message, response, false))
  server.on('checkContinue', (message, response) => take(message, response, true))
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { busy: 0, last: Promise.resolve() })
    socket.once('close', () => connections.delete(socket))
  })
  server.on('clientError', (error, socket: Socket) => {
    if (answering.has(socket)) socket.destroySoon() // a refusal among the bytes of an answer would be taken for content
    else answerBrokenRequest(error, socket)
  })

  /** Serves the requests of one connection one after the other: who pipelines may rely on their order (RFC 9112 9.3.2). */
  function take(message: IncomingMessage, response: ServerResponse, expecting: boolean): void {
    const connection = connections.get(message.socket)
    if (!connection) return // closed already
    const serveNow = () => serve(connection, message, response, expecting)
    connection.last = connection.busy++ === 0 ? serveNow() : connection.last.then(serveNow)
  }

  async function serve(connection: Connection, message: IncomingMessage, response: ServerResponse, expecting: boolean) {
    try {
      let answered: HttpReply
      try {
        const request = requestOf(message, response, expecting)
        const { route, params } = find(request.method, request.path)
        request.params = params
        if (options.authenticators) await authenticate(options.authenticators, request)
        const needed = route.access(request) // asked in any case: it also checks the names in the path
        if (options.authorizer) await authorize(options.authorizer, request.principal, needed)
        answered = await route.handle(request)
      } catch (error) {
        answered = replyOf(toOciError(error, (cause) => report(cause, message)))
      }
      await send(message, response, answered)
    } catch (error) {
      report(error, message)
      response.destroy() // the status is out, so a cut is the only way to say that the content is not whole
    }
    connection.busy--
    if (closing) closeWhenIdle(message.socket) // an answer's head may have gone out before the stop and kept the connection
  }

  function report(error: unknown, { socket, method, url }: IncomingMessage): void {
    if (socket.destroyed) return // the client hung up: that is no error, and there is nobody to tell
    options.onError(error, { method: method ?? '', path: url ?? '' })
  }

  function closeWhenIdle(socket: Socket): void {
    setTimeout(() => connections.get(socket)?.busy === 0 && socket.destroySoon(), lingerMs).unref()
  }

  function requestOf(message: IncomingMessage, response: ServerResponse, expecting: boolean): IncomingRequest {
    refuseDoubleHeaders(message.rawHeaders)
    return new IncomingRequest(message, originForm(message.url ?? ''), () => {
      if (expecting) response.writeContinue()
      expecting = false
      watchdog.watchBody(message)
    })
  }

  /** Sends an answer; what is not sent at once gives a promise. */
  function send(message: IncomingMessage, response: ServerResponse, answered: HttpReply): Promise<void> | undefined {
    const { status, headers, body } = answered
    const refused = !message.complete && (lengthOf(message.headers) ?? Infinity) > drainLimit
    response.writeHead(status, closing || refused ? [...headers, 'Connection', 'close'] : headers)
    if (!message.complete) watchdog.watchBody(message.resume())
    const streamed = typeof body === 'object' && 'content' in body
    if (refused || streamed) answering.add(message.socket)
    if (streamed) return sendContent(message, response, body)
    if (refused) return finishRefused(message, response, body)
    response.end(message.method === 'HEAD' ? '' : body, 'latin1')
    return undefined
  }

  async function sendContent(message: IncomingMessage, response: ServerResponse, body: ContentRange): Promise<void> {
    try {
      watchdog.watchReply(message, response)
      await body.content.sendTo(response, body.range)
      response.end()
    } finally {
      answering.delete(message.socket)
      await body.content.close()
    }
  }

  return {
    listen: (host, port) => listen(server, host, port),
    async close(graceMs = 30_000) {
      closing = true
      // Not http's own close: it cuts idle connections at once, under the feet of requests that are on the wire already.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      for (const socket of connections.keys()) closeWhenIdle(socket)
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      await closed
      clearTimeout(cut)
      server.close() // ends http's own timer
      watchdog.stop()
    },
  }
}

async function authenticate(authenticators: Authenticator[], request: IncomingRequest): Promise<void> {
  for (const authenticator of authenticators) {
    const principal = await authenticator.authenticate(request.headers, request.principal.address)
    if (principal) return void (request.principal = principal)
  }
}

async function authorize(authorizer: Authorizer, principal: Principal, needed: Access[]): Promise<void> {
  for (const access of needed) {
    if (await authorizer.allows(principal, access)) continue
    if (principal.kind !== 'anonymous') throw new OciError('DENIED')
    const detail = needed.map(({ type, name, action }) => ({ Type: type, Class: '', Name: name, Action: action }))
    throw new OciError('UNAUTHORIZED', { detail, headers: { 'WWW-Authenticate': authorizer.challenge(needed) } })
  }
}

function replyOf(error: OciError): HttpReply {
  return reply(error.status, { 'Content-Type': 'application/json', ...error.headers }, error.toJson())
}

/** Answers a client that still sends, and reads on for a moment: closing over unread bytes resets the connection, answer and all. */
async function finishRefused(
  message: IncomingMessage,
  response: ServerResponse,
  body: string | Buffer = '',
): Promise<void> {
  response.write(body, 'latin1')
  await finished(message, { signal: AbortSignal.timeout(lingerMs) }).catch(() => undefined) // gone or too long: so be it
  response.end()
}

/** The path of an absolute-form target (RFC 9112 3.2.2), else the target as it is. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const match = /^https?:\/\/[^/?#]*(\/.*)$/i.exec(target)
  if (match) return match[1]!
  throw new OciError('REQUEST_INVALID', { message: 'the request target must be a path' })
}

async function listen(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  server.listen({ host, port, backlog: 4096 })
  await once(server, 'listening')
  const address = server.address()
  return { host, port: typeof address === 'object' && address ? address.port : port }
}
