import { endpointOf } from '../address.ts'
import type { Endpoint } from '../address.ts'

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
  const server = regionEndpoint === undefined ? amazon(address) : withScheme(regionEndpoint, secure)
  const { endpoint, path } = endpointOf(server)
  // A certificate for *.host does not cover a bucket with dots in its name.
  const inHost = accelerate || (!address.pathStyle && !(endpoint.protocol === 'https:' && bucket.includes('.')))
  if (!inHost) return { endpoint, base: `${path}/${bucket}/` }
  return { endpoint: { ...endpoint, hostname: `${bucket}.${endpoint.hostname}` }, base: `${path}/` }
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
