import { hash } from 'node:crypto'
import type { Access, Principal } from '../auth/types.ts'
import type { HttpRequest } from '../http/types.ts'
import { Problem } from './problem.ts'
import { object, type Schema, text } from './schema.ts'

/** What a handler is given: everything is of the form that was asked for, and the caller may do it. */
export interface Call<Params, Query, Body> {
  params: Params
  query: Query
  body: Body
  /** Who calls; the name of an account, or empty. */
  principal: Principal
  request: HttpRequest<unknown>
}

/** What a handler answers: 200 with the body, 204 without, unless it says another status. */
export interface Answer {
  status?: number
  body?: unknown
  headers?: Record<string, string>
}

/** One operation of the management API, as it is checked, described and carried out. */
export interface Operation {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `/api/v1`; `:repository+` ends with `/-` or with the path. */
  path: string
  summary: string
  /** What the caller needs. */
  access(params: Record<string, string>, principal: Principal): Access[]
  query?: Schema | undefined
  body?: Schema | undefined
  /** What it answers, a sentence for each status besides the problems. */
  replies: Record<number, string>
  /** Whether the same `Idempotency-Key` gets the same answer. */
  isRepeatable: boolean
  handle(call: Call<Record<string, string>, unknown, unknown>): Promise<Answer>
}

type Names<Path extends string> = Path extends `${infer Head}/${infer Tail}`
  ? Names<Head> | Names<Tail>
  : Path extends `:${infer Name}+`
    ? Name
    : Path extends `:${infer Name}`
      ? Name
      : never

interface Declared<Path extends string, Query, Body> {
  method: Operation['method']
  path: Path
  summary: string
  access: (params: Record<Names<Path>, string>, principal: Principal) => Access[]
  query?: Schema<Query>
  body?: Schema<Body>
  replies?: Record<number, string>
  handle(call: Call<Record<Names<Path>, string>, Query, Body>): Promise<Answer>
}

/** Declares an operation; what its handler is given is typed by its path and its schemas. */
export function operation<const Path extends string, Query = undefined, Body = undefined>(
  declared: Declared<Path, Query, Body>,
): Operation {
  const { replies = { 200: 'Done.' }, method } = declared
  return { ...declared, replies, isRepeatable: method === 'POST' } as unknown as Operation
}

// What operations need of the caller.
export const anyone = (): Access[] => []
export const signedIn = (): Access[] => [{ type: 'registry', name: 'self', action: '*' }]
export const administrator = (): Access[] => [{ type: 'registry', name: 'admin', action: '*' }]

/** The query of every list. */
export const pageFields = { limit: text({ pattern: /^\d{1,4}$/, form: 'expected a number' }), cursor: text() }
export const pageQuery = object({}, pageFields)

interface PageQuery {
  limit?: string | undefined
  cursor?: string | undefined
}

const [usualLimit, maxLimit] = [50, 500]

/** How many items a part of a list has. */
export const limitOf = ({ limit }: PageQuery) => Math.min(Math.max(1, Number(limit ?? usualLimit)), maxLimit)

/**
 * Answers with a part of a list: `read` gives at most `limit` items after the place `last`, `placeOf` the place of one. A cursor is
 * opaque to clients.
 */
export async function page<T>(
  query: PageQuery,
  read: (page: { limit: number; last: string[] | undefined }) => Promise<T[]>,
  placeOf: (item: T) => string[],
  show: (item: T) => unknown,
): Promise<Answer> {
  const limit = limitOf(query)
  const last = query.cursor === undefined ? undefined : readCursor(query.cursor)
  const found = await read({ limit: limit + 1, last })
  const items = found.slice(0, limit)
  const next = found.length > limit ? writeCursor(placeOf(items.at(-1)!)) : undefined
  return { body: { items: items.map(show), ...(next && { next }) } }
}

const writeCursor = (place: string[]) => Buffer.from(JSON.stringify(place)).toString('base64url')

function readCursor(cursor: string): string[] {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    // Every list is in the order of one name.
    if (Array.isArray(place) && place.length === 1 && typeof place[0] === 'string' && !place[0].includes('\0'))
      return [place[0]]
  } catch {} // the same as any other text that is none
  throw new Problem('bad-request', 'the cursor is none of this list', {
    errors: [{ pointer: '?cursor', detail: 'expected the "next" of an answer' }],
  })
}

/** The strong entity tag of a resource: of what a client is shown of it. */
export function etagOf(body: unknown): string {
  return `"${hash('sha256', JSON.stringify(body), 'base64url').slice(0, 22)}"`
}

/**
 * Goes by `If-Match` and `If-None-Match: *` of a request that changes a resource; `present` is what a client would be shown of it,
 * undefined where there is none. What is there is changed only by who has seen it, where `mustSee`.
 * @throws Problem precondition-failed, precondition-required
 */
export function expectMatch({ headers }: HttpRequest<unknown>, present: unknown, { mustSee = false } = {}): void {
  const { 'if-match': match, 'if-none-match': none } = headers
  const tag = present === undefined ? undefined : etagOf(present)
  const names = (header: string) =>
    header.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === tag)
  if (none !== undefined && tag !== undefined && names(none))
    throw new Problem('precondition-failed', 'it is there already')
  if (match !== undefined && (tag === undefined || !names(match)))
    throw new Problem('precondition-failed', tag === undefined ? 'it is not there' : 'it changed: read it again')
  if (mustSee && tag !== undefined && match === undefined)
    throw new Problem('precondition-required', 'send If-Match with the ETag of what you have read')
}
