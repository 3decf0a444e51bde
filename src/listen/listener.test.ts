import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { createListener } from './listener.ts'
import { createWatchdog } from './watchdog.ts'

it('answers who was connected already when it stops, though it has not come to accept the connection', async () => {
  const listener = createListener({
    http: { address: { host: '127.0.0.1', port: 0 }, tls: undefined, http2: false, h2c: false },
    handle: async (_message, response) => void response.end('here'),
    refuse: (_error, socket) => socket.destroy(),
    pace: createWatchdog().pace,
    orders: false,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    clock: { now: () => new Date() },
  })
  const { port } = (await listener.listen()) as { port: number }
  const clients = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
  await new Promise<void>((resolve) => process.nextTick(resolve)) // the kernel connects at once
  const closed = listener.close(5000)
  for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  for (const answer of await Promise.all(clients.map(text))) assert.match(answer, /^HTTP\/1.1 200 OK\r\n[^]*here$/)
  await closed
})
