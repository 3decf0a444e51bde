import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { createHttp1 } from './http1.ts'

it('answers what was sent before a connection was to be closed, however late it comes to read it', async () => {
  const lingerMs = 100
  const http1 = createHttp1({
    handle: async (_message, response) => void response.end('here'),
    refuse: (_error, socket) => socket.destroy(),
    ...{ headersMs: 1000, idleMs: 1000, lingerMs },
  })
  const server = createServer((socket) => http1.take(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(server, 'connection')
  http1.drain()
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const answer = text(client)
  await new Promise(setImmediate) // it is in the kernel
  for (const end = performance.now() + 3 * lingerMs; performance.now() < end;); // somebody else has the processor
  try {
    assert.match(await answer, /^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n[^]*here$/)
  } finally {
    server.close()
    http1.stop()
  }
})
