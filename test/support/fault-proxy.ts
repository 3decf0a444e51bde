import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'

/** What happens to a request: nothing is answered, it is answered so, or its answer is cut after so many bytes. */
export type Fault = 'refuse' | 'stall' | { status: number } | { cutAfter: number } | { stallAfter: number }

export interface FaultProxy {
  url: string
  /** Asked about every request; undefined lets it through. */
  fault: (request: IncomingMessage) => Fault | undefined
  /** Every request there was: method and target. */
  seen: { method: string; target: string; headers: IncomingMessage['headers'] }[]
}

/** A proxy before an HTTP server that fails as it is told to; ends after the tests of the file. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(upstream)
  const proxy: FaultProxy = { url: '', fault: () => undefined, seen: [] }
  const server = createServer((message, response) => {
    const { method = '', url: target = '', headers } = message
    proxy.seen.push({ method, target, headers })
    const fault = proxy.fault(message)
    if (fault === 'refuse') return void message.socket.destroy()
    if (fault === 'stall') return void message.resume()
    if (fault && 'status' in fault) return void response.writeHead(fault.status, { Connection: 'close' }).end()
    forward(message, response, fault)
  })
  server.keepAliveTimeout = 60_000

  function forward(message: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
    const { method, url: path, headers } = message
    const sent = request({ hostname, port, method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      let left =
        typeof fault !== 'object'
          ? Infinity
          : 'cutAfter' in fault
            ? fault.cutAfter
            : (fault as { stallAfter: number }).stallAfter
      answer.on('data', (chunk: Buffer) => {
        if (left === 0) return
        response.write(chunk.subarray(0, Math.min(chunk.length, left)))
        left = Math.max(0, left - chunk.length)
        if (left === 0 && typeof fault === 'object' && 'cutAfter' in fault) setImmediate(() => message.socket.destroy())
      })
      answer.on('end', () => left > 0 && response.end())
    })
    sent.on('error', () => message.socket.destroy())
    message.on('error', () => sent.destroy())
    message.pipe(sent)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}
