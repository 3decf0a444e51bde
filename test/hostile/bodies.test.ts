import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { codesOf, digestOf, makeImage, types, useRegistry } from '../support/client.ts'
import { exchange, readAnswers } from '../support/raw-http.ts'

const registry = await useRegistry()
const mib = 1 << 20

function head(method: string, path: string, headers: string[]): string {
  return `${method} ${path} HTTP/1.1\r\n${[`Host: 127.0.0.1:${registry.port}`, ...headers].join('\r\n')}\r\n\r\n`
}

/** What the server says until it says something that matches, or two seconds are over. */
function hear(socket: Socket, pattern: RegExp): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const done = () => {
      clearTimeout(timer)
      socket.off('data', listen)
      resolve(text)
    }
    const listen = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (pattern.test(text)) done()
    }
    const timer = setTimeout(done, 2000)
    socket.on('data', listen)
  })
}

describe('a body that is too large', () => {
  const tooLarge = Buffer.alloc(5 * mib, 'x')

  it('is refused by its declared length before a byte of it is sent', async () => {
    const request = head('PUT', '/v2/a/manifests/big', [`Content-Type: ${types.image}`, 'Content-Length: 99999999999'])
    const { answers, firstMs } = await exchange(registry.port, Buffer.from(request), { method: 'PUT', timeoutMs: 3000 })
    assert.equal(answers[0]?.status, 413)
    assert.ok(firstMs < 1000)
  })

  it('is refused while it is being sent, and the client learns why', async () => {
    const request = head('PUT', '/v2/a/manifests/big', [`Content-Type: ${types.image}`, `Content-Length: ${5 * mib}`])
    for (let i = 0; i < 5; i++) {
      const { answers } = await exchange(registry.port, Buffer.concat([Buffer.from(request), tooLarge]), {
        method: 'PUT',
      })
      assert.equal(answers[0]?.status, 413)
      assert.deepEqual(codesOf({ ...answers[0]!, headers: {} }), ['SIZE_INVALID'])
    }
  })

  it('is refused when it comes in pieces without a declared length', async () => {
    const pieces = Array.from({ length: 80 }, () => Buffer.alloc(64 << 10, 'x'))
    const reply = await registry.call('PUT', '/v2/a/manifests/big', {
      headers: { 'Content-Type': types.image },
      body: pieces,
    })
    assert.equal(reply.status, 413)
    assert.deepEqual(codesOf(reply), ['SIZE_INVALID'])
  })

  it('is not read to its end', async () => {
    const socket = connect(registry.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(head('POST', '/v2/UPPER/blobs/uploads/', [`Content-Length: ${1e9}`]))
    const answer = hear(socket, /NAME_INVALID/)
    const feed = () => void (!socket.destroyed && socket.write(tooLarge) && setImmediate(feed))
    socket.on('drain', feed)
    feed()
    assert.match(await answer, /^HTTP\/1.1 400 /)
    await closed
  })
})

describe('a connection after a refusal', () => {
  it('serves the next request when a small body was refused', async () => {
    const socket = connect(registry.port, '127.0.0.1')
    for (let i = 0; i < 3; i++) {
      const refused = hear(socket, /NAME_INVALID.*\}$/)
      socket.write(head('POST', '/v2/UPPER/blobs/uploads/', ['Content-Length: 1000']) + 'x'.repeat(1000))
      assert.match(await refused, /^HTTP\/1.1 400 /)
      const next = hear(socket, /\{\}$/)
      socket.write(head('GET', '/v2/', []))
      assert.match(await next, /^HTTP\/1.1 200 /)
    }
    socket.destroy()
  })

  it('answers requests sent one right after the other in their order', async () => {
    const request = head('GET', '/v2/', []) + head('GET', '/v2/UPPER/tags/list', []) + head('GET', '/v2/', [])
    const { answers } = await exchange(registry.port, Buffer.from(request))
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [200, 400, 200],
    )
  })
})

it('writes nothing into the middle of an answer when what follows cannot be read', async () => {
  const content = Buffer.alloc(32 * mib, 'x')
  const digest = await registry.pushBlob('split/app', content)
  const socket = connect(registry.port, '127.0.0.1')
  socket.on('error', () => undefined)
  const chunks: Buffer[] = []
  const begun = new Promise<void>((resolve) => socket.once('readable', () => resolve(void socket.pause())))
  socket.write(head('GET', `/v2/split/app/blobs/${digest}`, []))
  await begun
  socket.write('this is no request\r\n\r\n')
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise((resolve) => {
    socket.once('close', resolve)
    setTimeout(() => socket.destroy(), 3000).unref()
  })
  const [, body = ''] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n', 2)
  assert.ok(/^x+$/.test(body), body.slice(-200))
  assert.ok(body.length <= content.length)
})

describe('Expect: 100-continue', () => {
  const content = Buffer.from('sent only after the server agreed')
  const path = `/v2/expect/blobs/uploads/?digest=${digestOf(content)}`
  const headers = [`Content-Length: ${content.length}`, 'Expect: 100-continue']

  it('is agreed to before the body is sent', async () => {
    const socket = connect(registry.port, '127.0.0.1')
    const agreed = hear(socket, /\r\n\r\n/)
    socket.write(head('POST', path, headers))
    assert.equal(await agreed, 'HTTP/1.1 100 Continue\r\n\r\n')
    const created = hear(socket, /\r\n\r\n/)
    socket.write(content)
    assert.match(await created, /^HTTP\/1.1 201 /)
    socket.destroy()
  })

  for (const [what, method, target] of [
    ['a bad repository name', 'POST', '/v2/UPPER/blobs/uploads/'],
    ['a bad digest', 'POST', '/v2/expect/blobs/uploads/?digest=sha256:bad'],
    ['an unknown upload', 'PUT', '/v2/expect/blobs/uploads/unknown'],
  ] as const) {
    it(`is answered by the refusal alone for ${what}, and the connection closes`, async () => {
      const { answers, closed } = await exchange(registry.port, Buffer.from(head(method, target, headers)), { method })
      assert.equal(answers.length, 1)
      assert.match(String(answers[0]!.status), /^4/)
      // Whether the body still comes nobody can know, so the next request could be taken for it.
      assert.equal(new Map(answers[0]!.headers).get('connection'), 'close')
      assert.ok(closed)
    })
  }

  it('with a manifest too large is refused before it is sent', async () => {
    const large = ['Expect: 100-continue', `Content-Length: ${5 * mib}`, `Content-Type: ${types.image}`]
    const request = Buffer.from(head('PUT', '/v2/expect/manifests/big', large))
    const { answers } = await exchange(registry.port, request, { method: 'PUT' })
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [413],
    )
  })
})

describe('a header that decides about the request', () => {
  const get = (...lines: string[]) => exchange(registry.port, Buffer.from(head('GET', '/v2/', lines)))
  for (const lines of [
    ['Host: other'],
    ['Authorization: Basic YTpi', 'Authorization: Basic Yzpk'],
    ['Range: bytes=0-1', 'Range: bytes=2-3'],
    ['Content-Range: 0-1', 'content-range: 2-3'],
    ['Content-Type: text/plain', 'CONTENT-TYPE: text/html'],
    ['Content-Length: 0', 'Content-Length: 1'],
    ['Content-Length: 1', 'Transfer-Encoding: chunked'],
  ]) {
    it(`is refused when it is there twice: ${lines.join(', ')}`, async () => {
      const { answers } = await get(...lines)
      assert.equal(answers[0]?.status, 400)
    })
  }

  it('may have others with it that stand there twice', async () => {
    const { answers } = await get('Accept: application/json', 'Accept: text/plain', 'Cookie: a=1', 'Cookie: b=2')
    assert.equal(answers[0]?.status, 200)
  })
})

it('takes requests that come a byte at a time and in any spelling HTTP allows', async () => {
  const image = await makeImage(registry, 'bytes/app')
  await registry.putManifest('bytes/app', 'v1', image)
  const socket = connect(registry.port, '127.0.0.1')
  socket.setNoDelay(true)
  const answer = hear(socket, /layers.*\}$/)
  for (const byte of `GET http://registry/v2/bytes/app/manifests/v1 HTTP/1.1\r\nhOST:x\r\n\r\n`) socket.write(byte)
  const [reply] = readAnswers(Buffer.from(await answer, 'latin1'), 'GET')
  assert.equal(reply?.status, 200)
  assert.deepEqual(JSON.parse(String(reply?.body)), image)
  socket.destroy()
})
