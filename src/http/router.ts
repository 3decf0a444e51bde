import { OciError } from '../oci/errors.ts'
import type { Route } from './types.ts'

interface Match {
  route: Route
  params: Record<string, string>
}

interface CompiledRoute {
  route: Route
  segments: string[]
  /** Position of the `:name+` segment, or -1. */
  many: number
}

/**
 * Finds the route of a raw request path. Paths are taken apart from the right around a `:name+` segment, so a repository
 * may hold components called `tags` or `blobs`; nothing is normalised, so no other spelling reaches a resource.
 */
export function createRouter(routes: Route[]): (method: string, path: string) => Match {
  const compiled = routes.map((route): CompiledRoute => {
    const segments = route.pattern.split('/')
    return { route, segments, many: segments.findIndex((segment) => segment.endsWith('+')) }
  })

  return function find(method, path) {
    const parts = path.split('/')
    const allowed = new Set<string>()
    for (const candidate of compiled) {
      if (!matches(candidate, parts)) continue
      if (candidate.route.methods.includes(method))
        return { route: candidate.route, params: paramsOf(candidate, parts) }
      for (const other of candidate.route.methods) allowed.add(other)
    }
    if (allowed.size === 0) throw new OciError('NAME_UNKNOWN', { message: 'there is nothing at this path' })
    throw new OciError('UNSUPPORTED', {
      message: `${method} is not supported here`,
      headers: { Allow: [...allowed].join(', ') },
    })
  }
}

function matches({ segments, many }: CompiledRoute, parts: string[]): boolean {
  const shift = parts.length - segments.length
  if (many < 0 ? shift !== 0 : shift < 0) return false
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]!
    if (segment.charCodeAt(0) === 58 /* : */) continue
    if (segment !== parts[many >= 0 && i > many ? i + shift : i]) return false
  }
  return true
}

function paramsOf({ segments, many }: CompiledRoute, parts: string[]): Record<string, string> {
  const shift = parts.length - segments.length
  const params: Record<string, string> = {}
  for (const [i, segment] of segments.entries()) {
    if (segment.charCodeAt(0) !== 58) continue
    if (i === many)
      params[segment.slice(1, -1)] = parts
        .slice(i, i + shift + 1)
        .map(decode)
        .join('/')
    else params[segment.slice(1)] = decode(parts[many >= 0 && i > many ? i + shift : i]!)
  }
  return params
}

/** Decodes one segment once; an encoded slash stays encoded, so `a%2Fb` never becomes another name for `a/b`. */
function decode(segment: string): string {
  if (!segment.includes('%') || /%2f/i.test(segment)) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment // a broken escape holds a '%', which no grammar accepts
  }
}
