import { isIPv6 } from 'node:net'
import type { Principal } from '../../auth/types.ts'
import type { RateLimitsConfiguration } from '../../config/configuration.ts'
import type { HttpReply, HttpRequest, Route } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import { createWindows } from '../../identity/windows.ts'

/** How long what a pull leads to is free, and how much of it is remembered of whom. */
const freeMs = 60_000
const maxFree = 100
const maxClients = 10_000

interface Deps {
  limits: RateLimitsConfiguration['pulls']
  clock: { now(): Date }
}

/**
 * Limits pulls as Docker Hub counts them: a GET of a manifest is one, HEAD and blobs are free. What it names, as the image for one
 * platform in an index, and the same again, is free for a minute: it is the same pull.
 */
export function createPullLimits({ limits: { anonymous, signedIn, windowMs, exempt }, clock }: Deps) {
  const windowsFor = (limit: number | undefined) =>
    limit === undefined ? undefined : { limit, ...createWindows({ limit, windowMs, clock }) }
  const [strangers, known] = [windowsFor(anonymous), windowsFor(signedIn)]
  const free = new Map<string, Map<string, number>>()
  const seconds = Math.round(windowMs / 1000)

  /** Whether this client was just sent to the digest by what it pulled. */
  function isFree(source: string, reference: string): boolean {
    return (free.get(source)?.get(reference) ?? 0) > clock.now().getTime()
  }

  function remember(source: string, { headers, body }: HttpReply): void {
    const digest = headers[headers.indexOf('Docker-Content-Digest') + 1]!
    const text = typeof body === 'string' ? body : body instanceof Buffer ? body.toString('latin1') : ''
    const named = text.match(/sha(?:256:[\da-f]{64}|512:[\da-f]{128})/g) ?? []
    const until = clock.now().getTime() + freeMs
    if (free.size >= maxClients) free.delete(free.keys().next().value!)
    free.delete(source)
    free.set(source, new Map([digest, ...named].slice(0, maxFree).map((one) => [one, until])))
  }

  async function pull(request: HttpRequest, handle: Route['handle']): Promise<HttpReply> {
    const { principal, method, params } = request
    const windows = principal.kind === 'anonymous' ? strangers : exempt.includes(principal.name) ? undefined : known
    if (!windows) return handle(request)
    const source = sourceOf(principal)
    const headers = () => ({
      'ratelimit-limit': `${windows.limit};w=${seconds}`,
      'ratelimit-remaining': `${windows.usage(source).remaining};w=${seconds}`,
      'docker-ratelimit-source': source,
    })
    const counts = method === 'GET' && !isFree(source, params.reference ?? '')
    if (counts) {
      const { remaining, resetSeconds } = windows.usage(source)
      if (remaining === 0) throw tooMany(principal, resetSeconds, headers())
      windows.add(source) // before: of many at once no more shall pass
    }
    let answer: HttpReply | undefined
    try {
      answer = await handle(request)
      if (counts && answer.status === 200) remember(source, answer)
    } finally {
      if (counts && answer?.status !== 200) windows.add(source, -1)
    }
    return { ...answer, headers: [...answer.headers, ...Object.entries(headers()).flat()] }
  }

  return {
    /** The endpoint for manifests with limits; any other as it is. */
    wrap(route: Route): Route {
      if (!route.methods.includes('GET') || !route.pattern.endsWith('/manifests/:reference')) return route
      return { ...route, handle: (request) => pull(request, route.handle) }
    },
  }
}

function tooMany(principal: Principal, resetSeconds: number, headers: Record<string, string>): OciError {
  const advice = principal.kind === 'anonymous' ? 'sign in, or come again' : 'come again'
  return new OciError('TOOMANYREQUESTS', {
    message: `You have reached your pull rate limit: ${advice} in ${Math.ceil(resetSeconds / 60)} minutes`,
    headers: { ...headers, 'Retry-After': String(resetSeconds) },
  })
}

/** Who is counted: a user, an IPv4 address, or the network of 64 bits that one customer has of IPv6. */
export function sourceOf(principal: Principal): string {
  if (principal.kind !== 'anonymous') return principal.name
  const { address } = principal
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('%')[0]!.split('::')
  const [first, last] = [head, tail].map((part) => part.split(':').filter(Boolean)) as [string[], string[]]
  const groups = [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last]
  return groups.slice(0, 4).join(':')
}
