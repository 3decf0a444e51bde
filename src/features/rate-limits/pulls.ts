import type { Principal } from '../../auth/types.ts'
import type { RateLimitsConfiguration } from '../../config/configuration.ts'
import type { HttpReply, HttpRequest, Route } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Counters } from '../../platform/counters.ts'
import type { Usage, Window } from '../../platform/windows.ts'
import { networkOf } from '../network.ts'
import type { OrganizationsOf } from './organizations.ts'

/** How long what a pull leads to is free. */
const freeMs = 60_000

interface Deps {
  limits: RateLimitsConfiguration['pulls']
  counters: Pick<Counters, 'look' | 'take' | 'giveBack' | 'allow'>
  organizationsOf: OrganizationsOf
}

/** What somebody may pull, by one of the limits they are under. */
interface Limited extends Window {
  /** Who is counted, as `docker-ratelimit-source` has it. */
  source: string
}

/**
 * Limits pulls as Docker Hub counts them: a GET of a manifest is one, HEAD and blobs are free. What it names, as the image for one
 * platform in an index, and the same again, is free for a minute: it is the same pull.
 */
export function createPullLimits({ limits, counters, organizationsOf }: Deps) {
  const { anonymous, signedIn, organizations, windowMs, exempt } = limits
  const seconds = Math.round(windowMs / 1000)

  /** All limits of who asks: their own, and that of the first organization of the list that they belong to. */
  async function limitsOf(principal: Principal): Promise<Limited[]> {
    const isKnown = principal.kind !== 'anonymous'
    if (isKnown && exempt.includes(principal.name)) return []
    const own = isKnown ? signedIn : anonymous
    const source = sourceOf(principal)
    const found: Limited[] = own === undefined ? [] : [{ name: `pulls ${source}`, limit: own, windowMs, source }]
    const belongs = organizations.length > 0 ? await organizationsOf(principal) : []
    const organization = organizations.find(({ name }) => belongs.includes(name))
    if (organization) {
      const { name, limit } = organization
      found.push({ name: `pulls of ${name}`, limit, windowMs, source: name })
    }
    return found
  }

  async function pull(request: HttpRequest, handle: Route['handle']): Promise<HttpReply> {
    const { principal, method, params } = request
    const all = await limitsOf(principal)
    if (all.length === 0) return handle(request)
    // What was just paid for is known by who pulled it: of an organization one does not pay for another.
    const windows = all.map(({ name, limit }) => ({ name, limit, windowMs }))
    const payer = `${principal.kind} ${sourceOf(principal)}`
    if (method !== 'GET') return withHeaders(await handle(request), all, await counters.look(windows))
    const taken = await counters.take(windows, { of: payer, item: params.reference ?? '' })
    if (!taken.isTaken && !taken.isFree) throw tooMany(principal, all, taken.usages)
    let answer: HttpReply | undefined
    try {
      answer = await handle(request)
    } finally {
      // Nobody waits for it: calls come in their order, and what follows of this client asks after it.
      if (taken.isTaken && answer?.status === 200) void counters.allow(payer, namedIn(answer), freeMs)
      else if (taken.isTaken) void counters.giveBack(windows)
    }
    const left = taken.isTaken && answer.status !== 200 ? 1 : 0
    const usages = taken.usages.map(({ remaining, ...rest }) => ({ ...rest, remaining: remaining + left }))
    return withHeaders(answer, all, usages)
  }

  function withHeaders(answer: HttpReply, all: Limited[], usages: Usage[]): HttpReply {
    return { ...answer, headers: [...answer.headers, ...Object.entries(headersOf(all, usages)).flat()] }
  }

  /** What is told of the limit that is the nearest. */
  function headersOf(all: Limited[], usages: Usage[]): Record<string, string> {
    const nearest = nearestOf(usages)
    const { limit, source } = all[nearest]!
    return {
      'ratelimit-limit': `${limit};w=${seconds}`,
      'ratelimit-remaining': `${usages[nearest]!.remaining};w=${seconds}`,
      'docker-ratelimit-source': source,
    }
  }

  function tooMany(principal: Principal, all: Limited[], usages: Usage[]): OciError {
    const { resetSeconds } = usages[nearestOf(usages)]!
    const advice = principal.kind === 'anonymous' ? 'sign in, or come again' : 'come again'
    return new OciError('TOOMANYREQUESTS', {
      message: `You have reached your pull rate limit: ${advice} in ${Math.ceil(resetSeconds / 60)} minutes`,
      headers: { ...headersOf(all, usages), 'Retry-After': String(resetSeconds) },
    })
  }

  return {
    /** The endpoint for manifests with limits; any other as it is. */
    wrap(route: Route): Route {
      if (!route.methods.includes('GET') || !route.pattern.endsWith('/manifests/:reference')) return route
      return { ...route, handle: (request) => pull(request, route.handle) }
    },
  }
}

/** Which one has the least left. */
function nearestOf(usages: Usage[]): number {
  const remaining = usages.map((usage) => usage.remaining)
  return remaining.indexOf(Math.min(...remaining))
}

/** The manifest's own digest and all that it names. */
function namedIn({ headers, body }: HttpReply): string[] {
  const digest = headers[headers.indexOf('Docker-Content-Digest') + 1]!
  const text = typeof body === 'string' ? body : body instanceof Buffer ? body.toString('latin1') : ''
  return [digest, ...(text.match(/sha(?:256:[\da-f]{64}|512:[\da-f]{128})/g) ?? [])]
}

/** Who is counted: a user, or from where somebody comes. */
export function sourceOf(principal: Principal): string {
  return principal.kind === 'anonymous' ? networkOf(principal.address) : principal.name
}
