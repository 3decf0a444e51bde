import type { IncomingHttpHeaders } from 'node:http'
import { requestIdOf } from '../auth/request-id.ts'
import type { HttpReply } from '../http/types.ts'
import { reply } from '../http/types.ts'
import type { OciError } from '../oci/errors.ts'

/** One place of a body or a parameter that is wrong: a JSON pointer (RFC 6901) or `?name`, and why. */
export interface Fault {
  pointer: string
  detail: string
}

/** Every kind of problem: the end of its `type`, with its status, its title, what it means and what to do. */
export const problems = {
  'bad-request': [
    400,
    'The request cannot be read',
    'A parameter of the query, a header or the body is not of the form that is described, so nothing was done.',
    'Compare the request with /api/v1/openapi.json. A cursor is the "next" of the answer before, unchanged, of the same list.',
  ],
  unauthorized: [
    401,
    'Sign in first',
    'The request came without credentials, or with a password or access token that is not, or no longer, good.',
    'Send "Authorization: Bearer" with an access token, or Basic with a password. Make a token with "holdfast token create".',
  ],
  forbidden: [
    403,
    'Not allowed',
    'The account that signed in, or the access token it did so with, may not do this. Changes from a page of another site are refused as well.',
    'Run "holdfast explain" with the requestId: it tells the rule and who can change it.',
  ],
  'not-found': [
    404,
    'Not found',
    'There is nothing of this name, or nothing that the caller may know of.',
    'Check the spelling, and by "holdfast whoami" as whom you ask. Whoever owns it can give access.',
  ],
  'method-not-allowed': [
    405,
    'Method not allowed',
    'The path is there, and this method is none that it has.',
    'Take one of those that the header Allow of the answer names.',
  ],
  conflict: [
    409,
    'In conflict with what is there',
    'What was asked for does not go together with something that is there: a name that is taken, an account whose namespace holds images, a last owner.',
    'Read the detail, change what is in the way, and ask again.',
  ],
  'tag-immutable': [
    409,
    'The tag is kept as it is',
    'A rule or a lock keeps this tag where it points, or keeps it from being deleted.',
    'Push under another tag. The detail names the rule; "holdfast policy" and "holdfast tag" show and change them.',
  ],
  'precondition-failed': [
    412,
    'It changed meanwhile',
    'If-Match or If-None-Match asked for a state that is not, or no longer, the one there is.',
    'Read it again, look at what changed, and send the change with the new ETag.',
  ],
  'too-large': [
    413,
    'Too large',
    'The body is larger than what is read here.',
    'Send less at a time: requests of the management API have a megabyte at most.',
  ],
  'unsupported-media-type': [
    415,
    'Send JSON',
    'The body is of a type that is not read here.',
    'Send JSON, with "Content-Type: application/json".',
  ],
  invalid: [
    422,
    'Invalid values',
    'The body was read, and a value in it cannot be used. "errors" names each place by a JSON pointer and what is expected there.',
    'Change those values. An Idempotency-Key is for one request: take a new one for another.',
  ],
  'precondition-required': [
    428,
    'Say which state is meant',
    'This is changed only by who has seen what is there, so that nobody undoes what another has just done.',
    'Read it, and send its ETag as If-Match.',
  ],
  'too-many-requests': [
    429,
    'Too many requests',
    'There were too many wrong passwords, or more requests than are allowed in a time.',
    'Wait as many seconds as Retry-After says. Access tokens are not kept out by wrong passwords.',
  ],
  internal: [
    500,
    'Unexpected error',
    'The registry has a fault. Whether the change was made is not known.',
    "Tell the registry's operator the requestId, under which the log has the cause.",
  ],
  unavailable: [
    503,
    'Not available now',
    'The registry cannot do this at the moment: its database or another server that it needs is away, or it is read-only.',
    'Try again after as many seconds as Retry-After says.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, meaning: string, advice: string]>

export type ProblemKind = keyof typeof problems

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
  const found = Object.entries(problems).find(([, [status]]) => status === error.status)?.[0] as ProblemKind | undefined
  const { 'WWW-Authenticate': _, ...headers } = error.headers
  const kind = isKept ? 'tag-immutable' : found
  return new Problem(kind ?? (error.status < 500 ? 'bad-request' : 'unavailable'), error.message, {
    headers,
    cause: error,
  })
}

/** The answer to a request of these headers that tells of a problem. */
export function problemReply({ kind, message, errors, headers }: Problem, asked: IncomingHttpHeaders): HttpReply {
  const requestId = requestIdOf(asked)
  const [status, title] = problems[kind]
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
      ...(kind === 'unauthorized' && { 'WWW-Authenticate': challengeFor(asked) }),
      ...headers,
    },
    JSON.stringify(body),
  )
}

/** To a page of ours its visitor would be asked by the browser itself for a password, which it then remembers. */
const challengeFor = (asked: IncomingHttpHeaders) =>
  `${asked['sec-fetch-site'] === undefined ? 'Basic' : 'Bearer'} realm="holdfast"`
