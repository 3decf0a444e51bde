import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import type { Readable } from 'node:stream'

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

interface Options {
  headers?: Record<string, string>
  body?: Uint8Array | Readable
}

export type Client = ReturnType<typeof createClient>

/** A client that keeps its connections, retries nothing, and gives up a request after `timeoutMs`: a hang is an error too. */
export function createClient(url: string, { connections = 16, timeoutMs = 20_000 } = {}) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })

  function request(method: string, path: string, { headers = {}, body }: Options = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const streamed = body !== undefined && !(body instanceof Uint8Array)
      const length = streamed ? {} : { 'content-length': String(body?.length ?? 0) }
      const sent = httpRequest(new URL(path, url), { method, agent, headers: { ...length, ...headers } })
      const giveUp = setTimeout(() => sent.destroy(new Error(`no answer to ${method} ${path}`)), timeoutMs)
      const fail = (error: Error) => {
        clearTimeout(giveUp)
        reject(error)
      }
      sent.on('error', fail)
      sent.on('response', (reply) => {
        const chunks: Buffer[] = []
        reply.on('data', (chunk: Buffer) => chunks.push(chunk))
        reply.on('error', fail)
        reply.on('end', () => {
          clearTimeout(giveUp)
          resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks) })
        })
      })
      if (streamed) body.pipe(sent)
      else sent.end(body)
    })
  }

  return { url, request, close: () => agent.destroy() }
}
