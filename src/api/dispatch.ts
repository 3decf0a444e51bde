import { createHash } from 'node:crypto'
import type { AccessControl } from '../auth/control.ts'
import { noteRefused } from '../auth/refused.ts'
import { requestIdOf } from '../auth/request-id.ts'
import type { Vault } from '../auth/vault.ts'
import { readBody } from '../http/body.ts'
import { createRouter } from '../http/router.ts'
import { type HttpReply, type HttpRequest, reply, type Route } from '../http/types.ts'
import { OciError } from '../oci/errors.ts'
import { anyMethod } from './index.ts'
import { openApiOf } from './openapi.ts'
import { type Answer, etagOf, type Operation, operation } from './operation.ts'
import { Problem, problemOf, problemReply } from './problem.ts'
import { check, type Schema } from './schema.ts'

export interface ApiOptions {
  operations: Operation[]
  access(): Pick<AccessControl, 'allows'> | undefined
  /** Keeps the answers to requests that may be repeated. */
  vault: Pick<Vault, 'get' | 'add' | 'delete'>
  clock: { now(): Date }
  onError(error: unknown, requestId: string): void
}

const base = '/api/v1'
const maxBody = 1 << 20
/** How long the answer to a request is known by its key. */
const repeatableMs = 24 * 60 * 60_000
const [kind, begunKind] = ['idempotency', 'idempotency-begun']
/** A request that was cut off keeps its key so long. */
const begunMs = 60_000

/** Finds the operation of a request, checks what came and whether the caller may, and gives its answer. Never rejects. */
export function createDispatch({ operations: given, access, vault, clock, onError }: ApiOptions) {
  const described = operation({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description',
    access: () => [],
    handle: async () => ({ body: openApi }),
  })
  const operations = [described, ...given]
  const openApi = openApiOf(operations)
  const find = createFind(operations)

  async function answer(request: HttpRequest<unknown>): Promise<HttpReply> {
    if (request.path.includes('%25')) throw new Problem('not-found', 'there is nothing at this path') // no name has a percent
    const { one, params: raw } = find(request)
    const params = Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, decodeSlashes(value)]))
    await expectAccess(one, params, request)
    const query = one.query && accept(one.query, readQuery(request.query), '?')
    const body = one.body && accept(one.body, await readJson(request), '')
    const call = { params, query, body, principal: request.principal, request }
    const key = one.isRepeatable ? request.headers['idempotency-key'] : undefined
    if (typeof key === 'string') return repeatable(request, key, body, () => one.handle(call))
    return toReply(await one.handle(call), request)
  }

  /** @throws Problem unauthorized, forbidden, not-found */
  async function expectAccess(one: Operation, params: Record<string, string>, request: HttpRequest<unknown>) {
    const { principal } = request
    for (const needed of one.access(params, principal)) {
      if (await access()?.allows(principal, needed)) continue
      noteRefused(request, { access: needed })
      if (principal.kind === 'anonymous') throw new Problem('unauthorized', 'this needs an account: sign in')
      if (needed.type === 'repository' && needed.action === 'pull')
        throw new Problem('not-found', 'there is no such repository')
      throw new Problem(
        'forbidden',
        `this needs ${needed.action === '*' ? needed.name : needed.action} on ${needed.type} ${needed.name}`,
      )
    }
  }

  /**
   * Carries out a request once for each key of a caller. What it answered may hold a secret, so it is kept encrypted by the key
   * itself, of which only a hash is known.
   */
  async function repeatable(request: HttpRequest<unknown>, key: string, body: unknown, work: () => Promise<Answer>) {
    const { sealAnswer, openAnswer } = await import('./idempotency.ts')
    if (key.length < 16 || key.length > 255)
      throw new Problem('bad-request', 'an Idempotency-Key has 16 to 255 characters: use a UUID')
    const { principal } = request
    const who = principal.kind === 'anonymous' ? '' : principal.name
    const digest = (text: string) =>
      createHash('sha256')
        .update(JSON.stringify([who, key, text]))
        .digest('hex')
    const fingerprint = digest(JSON.stringify([request.method, request.path, body]))
    const id = digest('id')
    const after = (ms: number) => new Date(clock.now().getTime() + ms)
    // Who asks again while the first one is still at work, at this process or another, must not have it done twice.
    if (!(await vault.add(begunKind, id, { text: '', endsAt: after(begunMs) })))
      throw new Problem('conflict', 'a request with this Idempotency-Key is at work: ask again in a moment', {
        headers: { 'Retry-After': '1' },
      })
    try {
      const known = await vault.get(kind, id)
      if (known !== undefined) return toReply(openAnswer(known.text, key, fingerprint), request)
      const made = await work()
      await vault.add(kind, id, { text: sealAnswer(made, key, fingerprint), endsAt: after(repeatableMs) })
      return toReply(made, request)
    } finally {
      await vault.delete(begunKind, id)
    }
  }

  return async function handle(request: HttpRequest<unknown>): Promise<HttpReply> {
    const requestId = requestIdOf(request.headers)
    try {
      const made = await answer(request)
      made.headers.push('X-Request-Id', requestId)
      return made
    } catch (error) {
      return problemReply(
        toProblem(error, (cause) => onError(cause, requestId)),
        request.headers,
      )
    }
  }
}

/** Finds operations: by the path first, so that a path has exactly the methods it is described with. */
function createFind(operations: Operation[]) {
  // What has more names in it would match paths of others, and a repository's own path all that is below it: those come last.
  const openness = (path: string) => path.split(':').length + (path.endsWith('+') ? 100 : 0)
  const paths = [...Map.groupBy(operations, ({ path }) => path)].toSorted(([a], [b]) => openness(a) - openness(b))
  const byRoute = new Map<Route, Operation[]>(
    paths.map(([path, own]) => [{ methods: anyMethod, pattern: base + path, access: () => [], handle: unused }, own]),
  )
  const route = createRouter([...byRoute.keys()])

  /** @throws Problem method-not-allowed, OciError where there is nothing */
  return ({ method, path }: HttpRequest<unknown>) => {
    const found = route(method, path)
    const own = byRoute.get(found.route)!
    const one = own.find((operation) => operation.method === (method === 'HEAD' ? 'GET' : method))
    if (one) return { one, params: found.params }
    const allowed = own.flatMap((operation) => (operation.method === 'GET' ? ['GET', 'HEAD'] : [operation.method]))
    throw new Problem('method-not-allowed', `${method} is not supported here`, {
      headers: { Allow: allowed.join(', ') },
    })
  }
}

/** A slash may come encoded, because some proxies and clients cannot have it otherwise; the router leaves what holds one as it came. */
function decodeSlashes(value: string): string {
  if (!/%2f/i.test(value)) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value // no grammar accepts what is left
  }
}

function toProblem(error: unknown, report: (error: unknown) => void): Problem {
  if (error instanceof Problem) return error
  if (error instanceof OciError) return problemOf(error)
  report(error)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EAGAIN') return new Problem('unavailable', 'the database is away', { headers: { 'Retry-After': '1' } })
  return new Problem('internal', 'something went wrong here; the log knows more by the id of the request')
}

function toReply({ status, body, headers }: Answer, request: HttpRequest<unknown>): HttpReply {
  if (body === undefined) return reply(status ?? 204, headers)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const tag = etagOf(body)
  if (isRead && request.headers['if-none-match']?.split(',').some((one) => one.trim().replace(/^W\//, '') === tag))
    return reply(304, { ETag: tag })
  const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json'
  return reply(
    status ?? 200,
    { 'Content-Type': type, 'Cache-Control': 'no-store', ETag: tag, ...headers },
    typeof body === 'string' ? body : JSON.stringify(body),
  )
}

function accept(schema: Schema, value: unknown, prefix: string): unknown {
  const checked = check(schema, value)
  if ('value' in checked) return checked.value
  const errors = checked.faults.map(({ pointer, detail }) => ({
    pointer: prefix === '?' ? `?${pointer.slice(1)}` : pointer,
    detail,
  }))
  throw new Problem(
    prefix === '?' ? 'bad-request' : 'invalid',
    errors.map(({ pointer, detail }) => `${pointer || 'body'}: ${detail}`).join('; '),
    { errors },
  )
}

/** @throws Problem where a parameter stands there twice */
function readQuery(query: URLSearchParams): Record<string, string> {
  const twice = [...query.keys()].find((name, index, all) => all.indexOf(name) < index)
  if (twice !== undefined) throw new Problem('bad-request', `the parameter ${JSON.stringify(twice)} is there twice`)
  return Object.fromEntries(query)
}

async function readJson(request: HttpRequest<unknown>): Promise<unknown> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new Problem('unsupported-media-type', 'the body must be JSON: send Content-Type: application/json')
  const content = await readBody(request, maxBody)
  let body: unknown
  try {
    body = JSON.parse(content.toString())
  } catch (error) {
    throw new Problem('bad-request', 'the body is no JSON', { cause: error })
  }
  // The library takes a list for an object without fields.
  if (Array.isArray(body)) throw new Problem('invalid', 'body: expected an object')
  return body
}

async function unused(): Promise<never> {
  throw new Error('operations are handled by their dispatch')
}
