import { OciError } from '../oci/errors.ts'
import type { Route } from './types.ts'

const maxRecent = 1000

interface Match {
  route: Route
  params: Record<string, string>
}

interface CompiledRoute {
  route: Route
  segments: string[]
  /** Position of the `:name+` segment; past the end where there is none. */
  many: number
  params: { name: string; at: number }[]
}

/**
 * Finds the route of a raw request path. Paths are taken apart from the right around a `:name+` segment, so a repository
 * may hold components called `tags` or `blobs`; nothing is normalised, so no other spelling reaches a resource.
 */
export function createRouter(routes: Route[]): (method: string, path: string) => Match {
  const compiled = routes.map(compile)
  const recent = new Map<string, Match>() // the same few paths are asked for again and again

  return function find(method, path) {
    const known = recent.get(path)
    if (known?.route.methods.includes(method)) return known
    const parts = path.split('/')
    for (const candidate of compiled) {
      if (!candidate.route.methods.includes(method) || !matches(candidate, parts)) continue
      const match = { route: candidate.route, params: paramsOf(candidate, parts) }
      if (recent.size >= maxRecent) recent.clear()
      if (path.length < 512) recent.set(path, match)
      return match
    }
    const allowed = compiled.filter((candidate) => matches(candidate, parts)).flatMap(({ route }) => route.methods)
    if (allowed.length === 0) throw new OciError('NAME_UNKNOWN', { message: 'there is nothing at this path' })
    throw new OciError('UNSUPPORTED', {
      message: `${method} is not supported here`,
      headers: { Allow: [...new Set(allowed)].join(', ') },
    })
  }
}

function compile(route: Route): CompiledRoute {
  const segments = route.pattern.split('/')
  const many = segments.findIndex((segment) => segment.endsWith('+'))
  const params = segments.flatMap((segment, at) =>
    segment.startsWith(':') ? [{ name: segment.slice(1).replace('+', ''), at }] : [],
  )
  return { route, segments, many: many < 0 ? segments.length : many, params }
}

function matches({ segments, many }: CompiledRoute, parts: string[]): boolean {
  const shift = parts.length - segments.length
  if (many === segments.length ? shift !== 0 : shift < 0) return false
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]!
    if (!segment.startsWith(':') && segment !== parts[i > many ? i + shift : i]) return false
  }
  return true
}

function paramsOf({ segments, many, params }: CompiledRoute, parts: string[]): Record<string, string> {
  const shift = parts.length - segments.length
  const values: Record<string, string> = {}
  for (const { name, at } of params) {
    const first = at > many ? at + shift : at
    const last = at === many ? at + shift : first
    let value = decode(parts[first]!)
    for (let i = first + 1; i <= last; i++) value += `/${decode(parts[i]!)}`
    values[name] = value
  }
  return values
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
