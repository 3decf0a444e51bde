import type { Endpoint } from '../transport.ts'

export interface S3Address {
  bucket: string
  region: string
  /** Another server than Amazon's: a URL, or HOST:PORT. */
  regionEndpoint: string | undefined
  /** Where clients are sent instead, scheme and host. */
  redirectEndpoint: string | undefined
  /** Whether the bucket stands in the path. */
  pathStyle: boolean
  secure: boolean
  dualStack: boolean
  accelerate: boolean
  fips: boolean
}

/** Where a bucket is found: the server, and what stands before each key in the path. */
export function addressOf(address: S3Address): { endpoint: Endpoint; base: string } {
  const { bucket, regionEndpoint, accelerate, secure } = address
  const server = new URL(regionEndpoint === undefined ? amazon(address) : withScheme(regionEndpoint, secure))
  // A certificate for *.host does not cover a bucket with dots in its name.
  const inHost = accelerate || (!address.pathStyle && !(server.protocol === 'https:' && bucket.includes('.')))
  const protocol = server.protocol === 'http:' ? 'http:' : 'https:'
  const above = server.pathname.replace(/\/+$/, '')
  return {
    endpoint: {
      protocol,
      hostname: inHost ? `${bucket}.${server.hostname}` : server.hostname.replace(/^\[|\]$/g, ''),
      port: Number(server.port) || (protocol === 'https:' ? 443 : 80),
    },
    base: inHost ? `${above}/` : `${above}/${bucket}/`,
  }
}

/** The same bucket where clients reach it. */
export function redirectAddressOf(address: S3Address): ReturnType<typeof addressOf> {
  const { redirectEndpoint } = address
  return addressOf(redirectEndpoint === undefined ? address : { ...address, regionEndpoint: redirectEndpoint })
}

function withScheme(server: string, secure: boolean): string {
  return /^https?:\/\//i.test(server) ? server : `${secure ? 'https' : 'http'}://${server}`
}

function amazon({ region, dualStack, accelerate, fips, secure }: S3Address): string {
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  const stack = dualStack ? '.dualstack' : ''
  const host = accelerate ? `s3-accelerate${stack}.${domain}` : `s3${fips ? '-fips' : ''}${stack}.${region}.${domain}`
  return withScheme(host, secure)
}

/** The `Host` of requests; a port that goes without saying is left out. */
export function hostHeader({ protocol, hostname, port }: Endpoint): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  return port === (protocol === 'https:' ? 443 : 80) ? host : `${host}:${port}`
}

/** A text as Amazon wants it in paths and queries: everything encoded but letters, digits and `-_.~`. */
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
