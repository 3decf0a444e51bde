import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'
import type { Access, Principal } from '../auth/types.ts'
import type { OciError } from '../oci/errors.ts'

/** First and last byte, both included. */
export interface ByteRange {
  first: number
  last: number
}

/** Bytes that lie somewhere else and are streamed into an answer, never held as a whole. */
export interface Content {
  readonly size: number
  /** Where a client may fetch it instead, for a while and without credentials. */
  readonly location?: string
  /** Writes the range into the sink without ending it; stops when the sink is destroyed. What the sink has taken is used again. Throws on a short read. */
  sendTo(sink: Writable, range: ByteRange): Promise<void>
  close(): Promise<void>
}

/** Content, and the part of it that is meant. */
export interface ContentRange {
  content: Content
  range: ByteRange
}

export interface HttpRequest<P = Record<string, string>> {
  method: string
  /** The path as sent, without query. */
  path: string
  params: P
  query: URLSearchParams
  headers: IncomingHttpHeaders
  principal: Principal
  /** The request as Node has it: what it came by. */
  readonly message: IncomingMessage
  /** The body's stream; asking for it tells a client that waits for `100 Continue` to go on. */
  body(): IncomingMessage
}

export interface HttpReply {
  status: number
  /** Names and values in turn, as Node sends them with the least work. */
  headers: string[]
  /** One character a byte, bytes, or the part of a content that is sent; the server closes the content. */
  body: string | Buffer | ContentRange | undefined
}

const baseHeaders = ['Docker-Distribution-Api-Version', 'registry/2.0', 'X-Content-Type-Options', 'nosniff']

/** Up to this length a body goes out fastest as text, in one piece with the head. */
const maxText = 32 << 10

/** Makes an answer. Text and bytes get their Content-Length here; an answer may be kept and sent many times. */
export function reply(
  status: number,
  headers: Record<string, string> = {},
  body?: string | Uint8Array | ContentRange,
): HttpReply {
  const all = [...baseHeaders, ...Object.entries(headers).flat()]
  if (typeof body === 'object' && 'content' in body) return { status, headers: all, body }
  const bytes = body === undefined ? undefined : Buffer.from(body as string)
  if (status !== 204 && status !== 304 && headers['Content-Length'] === undefined)
    all.push('Content-Length', String(bytes?.length ?? 0))
  return { status, headers: all, body: bytes && bytes.length < maxText ? bytes.toString('latin1') : bytes }
}

/** One endpoint. `access` is asked before the handler, so no endpoint can forget authorization. */
export interface Route {
  methods: readonly string[]
  pattern: string
  access(request: HttpRequest): Access[]
  handle(request: HttpRequest): Promise<HttpReply>
  /** How this endpoint tells of an error, where it has a form of its own. */
  refuse?(error: OciError, request: HttpRequest): Promise<HttpReply>
}

/** Asked of every request before who calls: says no by throwing an OciError. */
export type Gate = (request: HttpRequest) => void | Promise<void>

/** How we and our clients are called from outside, where that is not what the connection says. */
export interface Addressing {
  /** A request's target without what stands before ours. */
  target(target: string): string
  /** The address of who sent the request. */
  client(message: IncomingMessage): string
  /** The headers of an answer to the request at `path` as they go out. */
  headers(message: IncomingMessage, path: string, headers: string[]): string[]
}

/** A request that was answered, as far as it came. */
export interface Exchange {
  request: HttpRequest
  message: IncomingMessage
  /** Undefined when there is none at the path. */
  route: Route | undefined
  /** What was answered; 499, as nginx and registry:2 have it, when the client did not wait for it. */
  status: number
  /** Bytes of the answer's body that were sent. */
  bytes: number
  ms: number
}

/** Told of requests; whoever counts must do it quickly. */
export interface Observer {
  started?(route: Route): void
  answered?(exchange: Exchange): void
}

type ParamsOf<Pattern extends string> = Pattern extends `${infer Head}/${infer Tail}`
  ? ParamsOf<Head> & ParamsOf<Tail>
  : Pattern extends `:${infer Name}+`
    ? Record<Name, string>
    : Pattern extends `:${infer Name}`
      ? Record<Name, string>
      : unknown

/**
 * Declares an endpoint, `route('GET HEAD', '/v2/:repository+/blobs/:digest', access, handle)`: `:name` takes one segment,
 * `:name+` takes one or more. The handler's params are typed from the pattern.
 */
export function route<Pattern extends string>(
  methods: string,
  pattern: Pattern,
  access: (request: HttpRequest<ParamsOf<Pattern>>) => Access[],
  handle: (request: HttpRequest<ParamsOf<Pattern>>) => Promise<HttpReply>,
): Route {
  return { methods: methods.split(' '), pattern, access, handle } as Route
}
