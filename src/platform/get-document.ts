import { http, proxies } from './http.ts'
import { createAddressGuard } from './public-addresses.ts'

interface Asked {
  form?: URLSearchParams
  headers?: Record<string, string>
}

const formType = 'application/x-www-form-urlencoded'
const timeoutMs = 10_000
const maxBytes = 1 << 20

/**
 * Gets small documents from others whose names are not wholly ours to choose: no redirects, no private addresses but those that are
 * allowed, no more than a megabyte, no longer than ten seconds.
 */
export function createGetDocument(allow: string[]) {
  const guard = createAddressGuard(allow)

  /** A GET, or a POST of a form. @throws Error when there is no good answer */
  return async function getDocument(address: string, { form, headers = {} }: Asked = {}): Promise<string> {
    const url = new URL(address)
    guard.expectPublic(url)
    const { request, Agent } = url.protocol === 'https:' ? await import('node:https') : http
    const env = proxies()
    // A proxy looks names up itself, and is what the operator wants to be asked.
    const isProxied = Boolean(env.HTTPS_PROXY ?? env.https_proxy ?? env.HTTP_PROXY ?? env.http_proxy)
    const agent = new Agent({ proxyEnv: env })
    const options = {
      ...{ agent, signal: AbortSignal.timeout(timeoutMs), method: form ? 'POST' : 'GET' },
      headers: { Accept: 'application/json', ...(form && { 'Content-Type': formType }), ...headers },
    }
    return new Promise((resolve, reject) => {
      const sent = request(url, { ...options, ...(!isProxied && { lookup: guard.lookup }) }, (answer) => {
        const chunks: Buffer[] = []
        let size = 0
        if (answer.statusCode !== 200) {
          answer.destroy()
          const error = new Error(`${url.href} answered ${answer.statusCode}`)
          return reject(Object.assign(error, { status: answer.statusCode }))
        }
        answer.on('data', (chunk: Buffer) => {
          if ((size += chunk.length) > maxBytes)
            answer.destroy(new Error(`${url.href} is larger than ${maxBytes} bytes`))
          chunks.push(chunk)
        })
        answer.on('error', reject)
        answer.on('end', () => resolve(Buffer.concat(chunks).toString()))
      })
      sent.on('error', reject)
      sent.end(form?.toString())
    })
  }
}
