import type { OutgoingHttpHeaders } from 'node:http'

export interface Endpoint {
  protocol: 'http:' | 'https:'
  hostname: string
  port: number
}

export interface StoreRequest {
  endpoint: Endpoint
  method: string
  /** As it goes over the wire, with the query. */
  path: string
  headers: OutgoingHttpHeaders
  body: Buffer[]
}

/** The server of a URL, and the path without a slash at its end. */
export function endpointOf(address: string): { endpoint: Endpoint; path: string } {
  const { protocol: scheme, hostname, port, pathname } = new URL(address)
  const protocol = scheme === 'http:' ? 'http:' : 'https:'
  return {
    endpoint: {
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
    },
    path: pathname.replace(/\/+$/, ''),
  }
}

/** The `Host` of requests; a port that goes without saying is left out. */
export function hostHeader({ protocol, hostname, port }: Endpoint): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  return port === (protocol === 'https:' ? 443 : 80) ? host : `${host}:${port}`
}

/** A text as stores want it in paths and queries: everything encoded but letters, digits and `-_.~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

export function encodePath(path: string): string {
  return path.split('/').map(encode).join('/')
}

export function encodeQuery(query: Record<string, string>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`)
  return pairs.length > 0 ? `?${pairs.join('&')}` : ''
}
