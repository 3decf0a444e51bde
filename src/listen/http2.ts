import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Handle } from './listener.ts'

interface Http2Options {
  handle: Handle
  lingerMs: number
}

/** As Go's server has it; clients open more connections or wait. */
const maxStreams = 250
/** What a stream may send ahead of us, so that a distant client fills its line; a session in all. */
const streamWindow = 512 << 10
const sessionWindow = 8 << 20
const idleMs = 75_000

/** HTTP/2 over connections it is given: each request looks to `handle` like one of HTTP/1. */
export function createHttp2({ handle, lingerMs }: Http2Options) {
  const sessions = new Map<Http2Session, { busy: number }>()
  let closing = false

  const server = createServer({
    settings: { maxConcurrentStreams: maxStreams, initialWindowSize: streamWindow, maxHeaderListSize: 64 << 10 },
    maxSessionMemory: 64, // MB
    maxHeaderListPairs: 2000,
  })
  server.on('session', (session) => {
    sessions.set(session, { busy: 0 })
    session.setLocalWindowSize(sessionWindow)
    session.setTimeout(idleMs, () => sessions.get(session)?.busy === 0 && session.close())
    session.once('close', () => sessions.delete(session))
    session.on('error', () => undefined) // the client's: its streams are told
    if (closing) closeGracefully(session)
  })
  server.on('sessionError', () => undefined)
  server.on('request', (message, response) => void serve(message, response, false))
  server.on('checkContinue', (message, response) => void serve(message, response, true))

  async function serve(message: Http2ServerRequest, response: Http2ServerResponse, expecting: boolean): Promise<void> {
    const { stream } = message
    const session = stream.session && sessions.get(stream.session)
    if (!session) return
    session.busy++
    response.destroy = () => (stream.close(constants.NGHTTP2_INTERNAL_ERROR), response) // Node's tells the client that all is well
    await handle(likeHttp1(message), response as unknown as ServerResponse, expecting)
    session.busy--
    // Answered before the body was there: it need not be sent, and what is on its way may come.
    if (!message.complete)
      setTimeout(() => message.complete || stream.close(constants.NGHTTP2_NO_ERROR), lingerMs).unref()
  }

  function closeGracefully(session: Http2Session): void {
    // GOAWAY tells the client which streams were taken: it may send the others again elsewhere (RFC 9113 6.8).
    setTimeout(() => session.destroyed || session.close(), lingerMs).unref()
  }

  return {
    take(socket: Socket): void {
      server.emit('connection', socket)
    },
    drain(): void {
      closing = true
      for (const session of sessions.keys()) closeGracefully(session)
    },
  }
}

/** Gives a request the headers, the end and the socket that one of HTTP/1 has. */
function likeHttp1(message: Http2ServerRequest): IncomingMessage {
  const { stream, headers } = message
  if (headers[':authority'] !== undefined) headers.host = headers[':authority']
  if (!stream.endAfterHeaders)
    headers['transfer-encoding'] ??= headers['content-length'] === undefined ? 'chunked' : undefined
  message.on('error', () => undefined)
  // Node ends the body of a stream that was reset as if it were whole.
  stream.once('aborted', () => message.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })))
  Object.defineProperty(message, 'socket', { value: socketOf(message) })
  return message as unknown as IncomingMessage
}

/** A stream seen as a socket; Node's own stand-in throws when the connection is gone. */
function socketOf({ stream }: Http2ServerRequest) {
  const { socket } = stream.session!
  const { remoteAddress } = socket
  return {
    remoteAddress,
    /** What the stream shares with others. */
    connection: stream.session,
    // Of the session: its stand-in for the socket has no keys to look for.
    encrypted: stream.session?.encrypted === true,
    authorized: (socket as TLSSocket).authorized,
    getPeerCertificate: () => (socket as TLSSocket).getPeerCertificate(),
    get destroyed() {
      return stream.destroyed || stream.aborted
    },
    get bytesRead() {
      return connectionOf(stream.session)?.bytesRead ?? 0
    },
    get bytesWritten() {
      return connectionOf(stream.session)?.bytesWritten ?? 0
    },
    get writableLength() {
      return connectionOf(stream.session)?.writableLength ?? 0
    },
    destroy: () => stream.close(constants.NGHTTP2_CANCEL),
  }
}

function connectionOf(session: Http2Session | undefined): Socket | undefined {
  return session && !session.destroyed ? (session.socket as Socket) : undefined
}
