import { failure, kindOfStatus, unreachable } from './failure.ts'
import { type Credentials, loadCredentials, loadUrl } from './credentials.ts'

/** A registry and how one signs in to it. */
export interface Registry {
  url: string
  host: string
  authorization: string | undefined
}

interface Request {
  body?: unknown
  query?: Record<string, string | undefined>
  headers?: Record<string, string>
}

const timeoutMs = 60_000

/** `HOST` or a URL: this machine is asked in plain HTTP, all others by TLS. @throws Error when it is neither */
export function parseUrl(text: string): string {
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(text)
  const url = /^https?:\/\//.test(text) ? text : `${isLocal ? 'http' : 'https'}://${text}`
  if (!URL.canParse(url))
    throw failure('usage', `${JSON.stringify(text)} is no registry: expected HOST, HOST:PORT or a URL`)
  return url.replace(/\/+$/, '')
}

/**
 * The registry that is meant: `--registry`, `HOLDFAST_URL`, or the one of the last login; with `HOLDFAST_TOKEN`, or what login has kept.
 * @throws Error when there is none
 */
export function registryOf(named: string | undefined, credentials?: Credentials): Registry {
  const text = named ?? process.env.HOLDFAST_URL ?? loadUrl()
  if (!text) throw failure('usage', 'which registry? Sign in with "holdfast login HOST", or say --registry HOST')
  const url = parseUrl(text)
  const { host } = new URL(url)
  const token = process.env.HOLDFAST_TOKEN
  const kept = credentials ?? (token ? undefined : loadCredentials(host))
  return { url, host, authorization: kept ? basicOf(kept) : token && `Bearer ${token}` }
}

const basicOf = ({ name, secret }: Credentials) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

/** Sends a request to the management API and gives the answer. @throws Error with the exit code for what went wrong */
export async function send(registry: Registry, method: string, path: string, request: Request = {}): Promise<Response> {
  const { body, query = {}, headers = {} } = request
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const url = `${registry.url}/api/v1${path}${given.length > 0 ? `?${new URLSearchParams(given)}` : ''}`
  let reply: Response
  try {
    reply = await fetch(url, {
      method,
      redirect: 'error', // credentials go nowhere else
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        ...(registry.authorization && { Authorization: registry.authorization }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  } catch (error) {
    throw unreachable(registry.url, error)
  }
  if (reply.ok) return reply
  const problem = (await reply.json().catch(() => ({}))) as { detail?: string; requestId?: string }
  const hint = reply.status === 401 ? '; sign in with "holdfast login"' : ''
  const detail = problem.detail ?? `this is no answer of a Holdfast (${reply.status})`
  const kind = kindOfStatus(reply.status)
  // What is malformed needs no explaining by the registry.
  const whose = problem.requestId && kind !== 'usage' ? `\n  request ${problem.requestId}` : ''
  throw failure(kind, `${detail} (${reply.status})${hint}${whose}`)
}

/** The same, with the body of the answer; undefined where there is none. */
export async function ask<T>(registry: Registry, method: string, path: string, request: Request = {}): Promise<T> {
  const reply = await send(registry, method, path, request)
  const text = await reply.text()
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** All items of a list, page by page. */
export async function askAll<T>(
  registry: Registry,
  path: string,
  query: Record<string, string | undefined> = {},
): Promise<T[]> {
  const items: T[] = []
  for (let cursor: string | undefined; ;) {
    const part = await ask<{ items: T[]; next?: string }>(registry, 'GET', path, { query: { ...query, cursor } })
    items.push(...part.items)
    if (part.next === undefined) return items
    cursor = part.next
  }
}
