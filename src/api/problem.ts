import type { HttpReply } from '../http/types.ts'
import { reply } from '../http/types.ts'
import type { OciError } from '../oci/errors.ts'

/** One place of a body or a parameter that is wrong: a JSON pointer (RFC 6901) or `?name`, and why. */
export interface Fault {
  pointer: string
  detail: string
}

/** Every kind of problem with its status and title: the end of its `type`. */
const kinds = {
  'bad-request': [400, 'The request cannot be read'],
  unauthorized: [401, 'Sign in first'],
  forbidden: [403, 'Not allowed'],
  'not-found': [404, 'Not found'],
  'method-not-allowed': [405, 'Method not allowed'],
  conflict: [409, 'In conflict with what is there'],
  'tag-immutable': [409, 'The tag is kept as it is'],
  'precondition-failed': [412, 'It changed meanwhile'],
  'too-large': [413, 'Too large'],
  'unsupported-media-type': [415, 'Send JSON'],
  invalid: [422, 'Invalid values'],
  'precondition-required': [428, 'Say which state is meant'],
  'too-many-requests': [429, 'Too many requests'],
  internal: [500, 'Unexpected error'],
  unavailable: [503, 'Not available now'],
} as const satisfies Record<string, readonly [number, string]>

export type ProblemKind = keyof typeof kinds

interface ProblemOptions {
  errors?: Fault[]
  headers?: Record<string, string>
  cause?: unknown
}

/** What a client of the management API is told (RFC 9457). */
export class Problem extends Error {
  readonly kind: ProblemKind
  readonly errors: Fault[]
  readonly headers: Record<string, string>

  constructor(kind: ProblemKind, detail: string, { errors = [], headers = {}, cause }: ProblemOptions = {}) {
    super(detail, { cause })
    this.kind = kind
    this.errors = errors
    this.headers = headers
  }
}

/** The problem that a refusal of the registry is. */
export function problemOf(error: OciError): Problem {
  const isKept = error.code === 'DENIED' && (error.details[0] as { rule?: unknown } | undefined)?.rule !== undefined
  const found = Object.entries(kinds).find(([, [status]]) => status === error.status)?.[0] as ProblemKind | undefined
  const { 'WWW-Authenticate': _, ...headers } = error.headers
  const kind = isKept ? 'tag-immutable' : found
  return new Problem(kind ?? (error.status < 500 ? 'bad-request' : 'unavailable'), error.message, {
    headers,
    cause: error,
  })
}

/** The answer that tells of a problem. */
export function problemReply({ kind, message, errors, headers }: Problem, requestId: string): HttpReply {
  const [status, title] = kinds[kind]
  const body = {
    type: `/problems/${kind}`,
    title,
    status,
    detail: message,
    requestId,
    ...(errors.length > 0 && { errors }),
  }
  return reply(
    status,
    {
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      'X-Request-Id': requestId,
      ...(kind === 'unauthorized' && { 'WWW-Authenticate': 'Basic realm="holdfast"' }),
      ...headers,
    },
    JSON.stringify(body),
  )
}
