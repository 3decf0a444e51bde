import type { OutgoingHttpHeaders } from 'node:http'
import { http, proxies } from './http.ts'

interface Message {
  method: 'HEAD' | 'POST'
  headers: OutgoingHttpHeaders
  body?: string
  signal: AbortSignal
}

const maxRedirects = 5

/**
 * Sends a request to a URL that the operator configured and gives the status of the answer, whose body nobody reads. A name and
 * password in the URL go along as Basic credentials. Redirects are followed where the request stays the same; what the operator
 * wrote for one server goes to no other. (Not by `fetch`: it refuses credentials in URLs and many ports.)
 * @throws Error when there is no answer
 */
export async function send(address: string, message: Message, redirects = maxRedirects): Promise<number> {
  const url = new URL(address)
  const { status, location } = await sendOnce(url, message)
  const goesOn = message.method === 'POST' ? [307, 308] : [301, 302, 303, 307, 308]
  if (location === undefined || redirects === 0 || !goesOn.includes(status) || !URL.canParse(location, url.href))
    return status
  const next = new URL(location, url)
  if (!/^https?:$/.test(next.protocol)) return status
  const isSame = next.origin === url.origin
  const headers = isSame ? message.headers : { 'Content-Type': message.headers['Content-Type'] ?? '' }
  if (isSame) [next.username, next.password] = [url.username, url.password]
  return send(next.href, { ...message, headers }, redirects - 1)
}

async function sendOnce(url: URL, { method, headers, body, signal }: Message) {
  const { request, Agent } = url.protocol === 'https:' ? await import('node:https') : http
  const agent = new Agent({ proxyEnv: proxies() })
  const { username, password } = url
  const credentials = username + password === '' ? {} : { auth: `${decode(username)}:${decode(password)}` }
  return new Promise<{ status: number; location: string | undefined }>((resolve, reject) => {
    const own = body === undefined ? headers : { ...headers, 'Content-Length': Buffer.byteLength(body) }
    const sent = request(url, { method, headers: own, signal, agent, ...credentials }, (answer) => {
      resolve({ status: answer.statusCode ?? 0, location: answer.headers.location })
      answer.destroy() // it may be endless
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** A URL as it may be shown. */
export function withoutCredentials(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (!url || url.username + url.password === '') return address
  ;[url.username, url.password] = ['', '']
  return url.href
}
