import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { eventually } from '../../../test/support/app.ts'
import { createAuthority } from '../../../test/support/certificates.ts'
import { createWire } from './wire.ts'

const idleMs = 300

describe('reading objects over the wire', () => {
  it('reads answers that come in any pieces, over one connection', async () => {
    const store = await serve((socket) => {
      for (const piece of ['HTTP/1.1 20', '0 OK\r\nETag: "a"\r\ncontent-len', 'gth: 5\r\n\r\nab', 'c', 'de'])
        setTimeout(() => socket.write(piece), 5 * ++pieces)
    })
    let pieces = 0
    const get = createWire({ skipVerify: false })
    for (let i = 0; i < 3; i++) {
      const answer = await get(store.request, idleMs)
      assert.deepEqual([answer?.status, answer?.headers.etag, await textOf(answer!.body)], [200, '"a"', 'abcde'])
    }
    assert.equal(store.connections(), 1)
    assert.match(
      store.received(),
      /^GET \/bucket\/key HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\nrange: bytes=0-4\r\n\r\nGET/,
    )
  })

  it('leaves to others what it does not know', async () => {
    for (const answer of [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\n\r\nuntil the end',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde',
      'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n',
      'HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\nabcde',
      'SSH-2.0-OpenSSH\r\n\r\n',
      '',
    ]) {
      const store = await serve((socket) => socket.end(answer))
      assert.equal(await createWire({ skipVerify: false })(store.request, idleMs), undefined, answer)
    }
    const silent = await serve(() => {})
    assert.equal(await createWire({ skipVerify: false })(silent.request, 50), undefined)
    const header = { ...silent.request, headers: { range: 'bytes=0-1\r\nx: y' } }
    assert.equal(await createWire({ skipVerify: false })(header, 50), undefined)
    silent.close()
    assert.equal(await createWire({ skipVerify: false })(silent.request, idleMs), undefined)
  })

  it('says when the store breaks off, is silent, or sends more than it said', async () => {
    const head = 'HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n'
    for (const [send, message] of [
      [(socket: Socket) => socket.end(`${head}abc`), /the store sent 2 bytes too few/],
      [(socket: Socket) => socket.write(`${head}abc`), /the store is silent for 0.3 s/],
      [(socket: Socket) => socket.write(`${head}abcdef`), /the store sent more than it said/],
      [(socket: Socket) => socket.write(`${head}abc`, () => socket.resetAndDestroy()), /the store (broke off|sent)/],
    ] as const) {
      const store = await serve(send)
      const answer = await createWire({ skipVerify: false })(store.request, idleMs)
      await assert.rejects(textOf(answer!.body), message)
    }
  })

  it('takes another connection when the store closed the one it kept', async () => {
    const store = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const get = createWire({ skipVerify: false })
    for (let i = 0; i < 3; i++) {
      const answer = await get(store.request, idleMs)
      assert.equal(await textOf(answer!.body), 'ok')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.equal(store.connections(), 3)
  })

  it('reads over TLS, from whom it trusts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-wire-'))
    after(() => rm(folder, { recursive: true }))
    const authority = await createAuthority(folder)
    const { key, certificate } = await authority.issue('localhost', { san: 'DNS:localhost' })
    const options = { key: await readFile(key), cert: await readFile(certificate) }
    const answer = (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    const store = await serve(answer, (listener) => createTlsServer(options, listener))
    const endpoint = { ...store.request.endpoint, protocol: 'https:' as const, hostname: 'localhost' }
    assert.equal(await createWire({ skipVerify: false })({ ...store.request, endpoint }, idleMs), undefined)
    const get = createWire({ skipVerify: true })
    for (let i = 0; i < 2; i++)
      assert.equal(await textOf((await get({ ...store.request, endpoint }, idleMs))!.body), 'ok')
    assert.equal(store.connections(), 1)
  })

  it('loses nothing of what comes over TLS while a slow reader holds it up', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-wire-'))
    after(() => rm(folder, { recursive: true }))
    const { key, certificate } = await (await createAuthority(folder)).issue('localhost', { san: 'DNS:localhost' })
    const options = { key: await readFile(key), cert: await readFile(certificate) }
    const bytes = randomBytes(4 << 20)
    const answer = (socket: Socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`)
      socket.write(bytes)
    }
    const store = await serve(answer, (listener) => createTlsServer(options, listener))
    const endpoint = { ...store.request.endpoint, protocol: 'https:' as const, hostname: 'localhost' }
    const get = createWire({ skipVerify: true })
    for (let i = 0; i < 2; i++) {
      const { body } = (await get({ ...store.request, endpoint }, idleMs))!
      const read: Buffer[] = []
      for (let chunk; (chunk = await body.next(idleMs));) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        read.push(Buffer.from(chunk))
      }
      body.destroy()
      assert.ok(Buffer.concat(read).equals(bytes))
    }
    assert.equal(store.connections(), 1)
  })

  it('closes a connection on which the store said something unasked', async () => {
    const store = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      setTimeout(() => socket.write('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'), 10)
    })
    const get = createWire({ skipVerify: false })
    for (let i = 0; i < 2; i++) {
      assert.equal(await textOf((await get(store.request, idleMs))!.body), 'ok')
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    await eventually(() => store.open() === 0)
    assert.equal(store.connections(), 2)
  })

  it('does not use a connection again whose last bytes were not taken', async () => {
    const store = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const get = createWire({ skipVerify: false })
    for (let i = 0; i < 2; i++) {
      const { body } = (await get(store.request, idleMs))!
      assert.equal(String(await body.next(idleMs)), 'ok')
      body.destroy() // whoever sends them on may still read from the buffer
    }
    assert.equal(store.connections(), 2)
  })

  it('does not keep a connection whose body was not read to its end', async () => {
    const store = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'))
    const get = createWire({ skipVerify: false })
    for (let i = 0; i < 2; i++) {
      const { body } = (await get(store.request, idleMs))!
      assert.equal(String(await body.next(idleMs)), 'abc')
      body.destroy()
      assert.equal(await body.next(idleMs), undefined)
    }
    assert.equal(store.connections(), 2)
  })
})

async function textOf(body: { next(idleMs: number): Promise<Buffer | undefined>; destroy(): void }): Promise<string> {
  let text = ''
  try {
    for (let chunk; (chunk = await body.next(idleMs));) text += String(chunk)
    return text
  } finally {
    body.destroy()
  }
}

/** A server that does the same with every request. */
async function serve(
  answer: (socket: Socket) => unknown,
  create: (listener: (socket: Socket) => void) => Server = createServer,
) {
  let connections = 0
  let received = ''
  const sockets = new Set<Socket>()
  const server = create((socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      received += String(chunk)
      answer(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  after(close)
  const { port } = server.address() as AddressInfo
  const endpoint = { protocol: 'http:' as const, hostname: '127.0.0.1', port }
  const request = { endpoint, method: 'GET', path: '/bucket/key', headers: { range: 'bytes=0-4' }, body: [] }
  return { request, connections: () => connections, open: () => sockets.size, received: () => received, close }
}
