import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Principal } from '../auth/types.ts'
import type { Addressing, HttpRequest } from './types.ts'

/** A request of Node's as handlers see it. What costs is made when it is first asked for: most requests are small and many. */
export class IncomingRequest implements HttpRequest {
  readonly method: string
  readonly path: string
  params: Record<string, string> = {}
  readonly message: IncomingMessage
  readonly #search: string
  readonly #addressing: Addressing | undefined
  readonly #onBody: (message: IncomingMessage) => void
  #query: URLSearchParams | undefined
  #principal: Principal | undefined

  constructor(
    message: IncomingMessage,
    addressing: Addressing | undefined,
    onBody: (message: IncomingMessage) => void,
  ) {
    const target = addressing ? addressing.target(originForm(message.url ?? '')) : originForm(message.url ?? '')
    const mark = target.indexOf('?')
    this.method = message.method ?? ''
    this.path = mark < 0 ? target : target.slice(0, mark)
    this.#search = mark < 0 ? '' : target.slice(mark + 1)
    this.message = message
    this.#addressing = addressing
    this.#onBody = onBody
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search))
  }

  get headers(): IncomingHttpHeaders {
    return this.message.headers
  }

  get principal(): Principal {
    return (this.#principal ??= { kind: 'anonymous', address: this.#address() })
  }

  set principal(principal: Principal) {
    this.#principal = principal
  }

  #address(): string {
    return this.#addressing?.client(this.message) ?? this.message.socket.remoteAddress?.replace('::ffff:', '') ?? ''
  }

  body(): IncomingMessage {
    this.#onBody(this.message)
    return this.message
  }
}

/** The path of an absolute-form target (RFC 9112 3.2.2), else the target as it is. */
function originForm(target: string): string {
  return target.startsWith('/') ? target : (/^https?:\/\/[^/?#]*(\/.*)$/i.exec(target)?.[1] ?? target)
}
