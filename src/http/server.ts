import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import type { AccessControl } from '../auth/control.ts'
import { OciError } from '../oci/errors.ts'
import { lengthOf } from './body.ts'
import { refuseDoubleHeaders, toOciError } from './refusal.ts'
import { createRouter } from './router.ts'
import { IncomingRequest } from './request.ts'
import type { Addressing, ContentRange, Gate, HttpReply, Observer, Route } from './types.ts'
import { reply } from './types.ts'

export interface HttpServerOptions {
  routes: Route[]
  gate?: Gate
  /** Without it everyone may do everything. */
  access?: AccessControl | undefined
  observers?: Observer[]
  addressing?: Addressing | undefined
  /** Cuts those who send or read too slowly. */
  watchdog: {
    watchBody(message: IncomingMessage): void
    watchReply(message: IncomingMessage, response: ServerResponse): void
  }
  /** Told about errors that are ours, not the client's. */
  onError(error: unknown, message: IncomingMessage): void
}

/** Answers one request; `expecting` when the client waits for `100 Continue`. Never rejects. */
export type Handle = (message: IncomingMessage, response: ServerResponse, expecting: boolean) => Promise<void>

/** A refused body longer than this is not read to its end: the connection closes soon. */
const drainLimit = 1 << 20
/** How long the bytes of a refused body may still come. */
const lingerMs = 500

/** Request → route → access → handler → reply, and every error turned into an answer in one place. */
export function createHttpServer(options: HttpServerOptions): Handle {
  const find = createRouter(options.routes)
  const { gate = nothing, access, observers = [], addressing, watchdog } = options
  const admit = access?.admit ?? nothing

  return async function serve(message, response, expecting) {
    const begun = observers.length > 0 ? performance.now() : 0
    const before = observers.length > 0 ? message.socket.bytesWritten : 0
    const request = new IncomingRequest(message, addressing, () => {
      if (expecting) response.writeContinue()
      expecting = false
      watchdog.watchBody(message)
    })
    let route: Route | undefined
    let answered: HttpReply = unanswered
    try {
      try {
        refuseDoubleHeaders(message.rawHeaders)
        if (!request.path.startsWith('/'))
          throw new OciError('REQUEST_INVALID', { message: 'the request target must be a path' })
        const found = find(request.method, request.path)
        route = found.route
        request.params = found.params
        for (const observer of observers) observer.started?.(route)
        const held = gate(request)
        if (held) await held // each wait costs, and hardly a request has to
        const needed = route.access(request) // asked in any case: it also checks the names in the path
        const asked = admit(request, message, needed)
        if (asked) await asked
        answered = await route.handle(request)
      } catch (error) {
        const refusal = toOciError(error, (cause) => report(cause, message))
        answered = (await route?.refuse?.(refusal, request)) ?? replyOf(refusal)
      }
      const sent = send(request, message, response, answered)
      if (sent) await sent
    } catch (error) {
      report(error, message)
      response.destroy() // the status is out, so a cut is the only way to say that the content is not whole
    }
    if (observers.length === 0) return
    const gone = message.socket.destroyed && !response.writableFinished
    const bytes = gone ? Math.max(0, message.socket.bytesWritten - before) : bodyLength(answered)
    const exchange = { request, message, route, bytes, ms: performance.now() - begun }
    for (const observer of observers) observer.answered?.({ ...exchange, status: gone ? 499 : answered.status })
  }

  function report(error: unknown, message: IncomingMessage): void {
    if (message.socket.destroyed) return // the client hung up: that is no error, and there is nobody to tell
    options.onError(error, message)
  }

  /** Sends an answer; what is not sent at once gives a promise. */
  function send(request: IncomingRequest, message: IncomingMessage, response: ServerResponse, answer: HttpReply) {
    const { status, headers, body } = answer
    const refused = !message.complete && (lengthOf(message.headers) ?? Infinity) > drainLimit
    if (refused) response.shouldKeepAlive = false
    response.writeHead(status, addressing ? addressing.headers(message, request.path, headers) : headers)
    if (!message.complete) watchdog.watchBody(message.resume())
    if (typeof body === 'object' && 'content' in body) return sendContent(message, response, body)
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
      await body.content.close()
    }
  }
}

const nothing = () => undefined
const unanswered: HttpReply = { status: 500, headers: [], body: undefined }

function bodyLength({ body }: HttpReply): number {
  if (body === undefined) return 0
  return typeof body === 'object' && 'content' in body ? body.range.last - body.range.first + 1 : body.length
}

/** How an error is told in the specification's form. */
export function replyOf(error: OciError): HttpReply {
  return reply(error.status, { 'Content-Type': 'application/json', ...error.headers }, error.toJson())
}

/** Answers a client that still sends, and reads on for a moment: closing over unread bytes resets the connection, answer and all. */
async function finishRefused(message: IncomingMessage, response: ServerResponse, body: string | Buffer = '') {
  response.write(body, 'latin1')
  await finished(message, { signal: AbortSignal.timeout(lingerMs) }).catch(() => undefined) // gone or too long: so be it
  response.end()
}
