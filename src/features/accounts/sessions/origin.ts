import type { IncomingMessage } from 'node:http'
import { OciError } from '../../../oci/errors.ts'

type BaseOf = (message: IncomingMessage) => string

/** Whether the page that sent a request is one of ours: by Fetch Metadata where the browser sends them, else by `Origin`. */
function isFromElsewhere({ headers }: IncomingMessage, base: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin'
  const { origin } = headers
  if (origin === undefined) return false // no browser leaves both out
  return !URL.canParse(base) || origin !== new URL(base).origin
}

/** @throws OciError DENIED for a change that a page of another site asks for: whatever the browser sends along is not its own */
export function expectOwnPage(message: IncomingMessage, baseOf: BaseOf): void {
  const { method } = message
  if (method === 'GET' || method === 'HEAD' || !isFromElsewhere(message, baseOf(message))) return
  throw new OciError('DENIED', { message: 'a page of another site may not do this here' })
}

/**
 * Whether the browser came by TLS. @throws OciError DENIED where others on the way could read a cookie: plain HTTP is for this
 * machine alone
 */
export function expectSafe(message: IncomingMessage, baseOf: BaseOf): boolean {
  const base = baseOf(message)
  const { protocol, hostname } = URL.canParse(base) ? new URL(base) : { protocol: '', hostname: '' }
  if (protocol === 'https:') return true
  if (protocol === 'http:' && isLoopback(hostname)) return false
  throw new OciError('DENIED', {
    message:
      'a browser signs in over TLS only: use https://; behind a proxy http.host or holdfast.http.trustedproxies tell of it',
  })
}

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** A path here that a browser may be sent back to; `/` for anything else, above all for what leads to another site. */
export function localPath(text: string | null): string {
  if (text === null || text.length > 1000 || !/^\/(?![/\\])[\x21-\x7e]*$/.test(text) || text.includes('\\')) return '/'
  const { origin, pathname, search } = new URL(text, 'http://here.invalid')
  return origin === 'http://here.invalid' && !pathname.startsWith('//') ? pathname + search : '/'
}
