import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, digestOf, pathOf, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'resume/app'
const content = randomBytes(2 << 20)
const digest = digestOf(content)

/** Sends the head of a request and a part of its body, then hangs up. */
async function breakOff(request: string, part: Uint8Array): Promise<void> {
  const socket = connect(registry.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`${request} HTTP/1.1\r\nHost: registry\r\nContent-Length: ${content.length}\r\n\r\n`)
  await new Promise<void>((resolve) => socket.write(part, () => resolve()))
  socket.end()
  await new Promise((resolve) => socket.once('close', resolve).resume())
}

/** How many bytes the session has once it has any. */
async function received(path: string): Promise<number> {
  for (let i = 0; i < 100; i++) {
    const range = (await registry.call('GET', path)).headers.range
    if (range && range !== '0-0') return Number(range.slice(2)) + 1
    await sleep(20)
  }
  throw new Error('The session has no bytes')
}

/** Goes on where the session stands and closes it; the registry may notice a moment later that the one before has gone. */
async function goOn(path: string): Promise<Answer> {
  let rest = await sendRest(path)
  for (let i = 0; i < 100 && /another request is writing/.test(rest.body.toString()); i++) {
    await sleep(20)
    rest = await sendRest(path)
  }
  assert.equal(rest.status, 202)
  assert.equal(rest.headers.range, `0-${content.length - 1}`)
  return registry.call('PUT', `${pathOf(rest)}&digest=${digest}`)
}

async function sendRest(path: string): Promise<Answer> {
  const size = await received(path)
  const headers = { 'Content-Range': `${size}-${content.length - 1}` }
  return registry.call('PATCH', path, { body: content.subarray(size), headers })
}

async function assertStored(): Promise<void> {
  const reply = await registry.call('GET', `/v2/${repository}/blobs/${digest}`)
  assert.equal(reply.status, 200)
  assert.ok(reply.body.equals(content))
  await registry.call('DELETE', `/v2/${repository}/blobs/${digest}`)
}

describe('an upload whose connection breaks', () => {
  it('keeps what arrived and goes on from there', async () => {
    const path = await registry.startUpload(repository)
    await breakOff(`PATCH ${path}`, content.subarray(0, 700_001))
    // The last of it may still be on its way to the disk when the connection is gone.
    for (let i = 0; i < 100 && (await received(path)) < 700_001; i++) await sleep(20)
    assert.equal(await received(path), 700_001)
    assert.equal((await goOn(path)).status, 201)
    await assertStored()
  })

  it('goes on after breaking in the second chunk, too', async () => {
    const path = await registry.startUpload(repository)
    const first = await registry.call('PATCH', path, { body: content.subarray(0, 1000) })
    await breakOff(`PATCH ${pathOf(first)}`, content.subarray(1000, 300_000))
    for (let i = 0; i < 100 && (await received(path)) === 1000; i++) await sleep(20)
    assert.equal((await goOn(path)).status, 201)
    await assertStored()
  })

  it('goes on after breaking in the closing PUT', async () => {
    const path = await registry.startUpload(repository)
    await breakOff(`PUT ${path}&digest=${digest}`, content.subarray(0, 500_000))
    assert.equal((await goOn(path)).status, 201)
    await assertStored()
  })

  it('in a single request leaves nothing behind', async () => {
    await breakOff(`POST /v2/${repository}/blobs/uploads/?digest=${digest}`, content.subarray(0, 500_000))
    const reply = await registry.call('HEAD', `/v2/${repository}/blobs/${digest}`)
    assert.equal(reply.status, 404)
  })
})

describe('an upload over a restart', () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`goes on where it was after ${signal}`, async () => {
      const path = await registry.startUpload(repository)
      const first = await registry.call('PATCH', path, { body: content.subarray(0, 1_000_000) })
      assert.equal(first.headers.range, '0-999999')
      await registry.restart(signal)
      assert.equal(await received(path), 1_000_000)
      assert.equal((await goOn(pathOf(first))).status, 201)
      await assertStored()
    })
  }
})

describe('requests at the same time', () => {
  it('to one upload are served one by one: who comes second is told where it stands', async () => {
    const path = await registry.startUpload(repository)
    const replies = await Promise.all(
      Array.from({ length: 4 }, () =>
        registry.call('PATCH', path, { body: content, headers: { 'Content-Range': `0-${content.length - 1}` } }),
      ),
    )
    assert.deepEqual(replies.map((reply) => reply.status).toSorted(), [202, 416, 416, 416])
    for (const reply of replies) assert.ok(reply.headers.location && reply.headers.range)
    assert.equal((await registry.call('PUT', `${path}&digest=${digest}`)).status, 201)
    await assertStored()
  })

  it('may end an upload that another one is closing', async () => {
    const path = await registry.startUpload(repository)
    const own = randomBytes(content.length)
    const socket = connect(registry.port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(`PUT ${path}&digest=${digestOf(own)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`)
    socket.write(`Content-Length: ${content.length}\r\n\r\n`)
    socket.write(own.subarray(0, 1_000_000))
    await received(path)
    const ended = await registry.call('DELETE', path)
    assert.ok(ended.status < 500, ended.body.toString())
    socket.write(own.subarray(1_000_000))
    await closed
    assert.match(answer, /^HTTP\/1.1 (404|201) /)
  })

  it('that push the same blob all succeed', async () => {
    const shared = randomBytes(1 << 20)
    await Promise.all(Array.from({ length: 8 }, (_, i) => registry.pushBlob(`resume/${i % 3}`, shared)))
    for (const name of ['resume/0', 'resume/1', 'resume/2']) {
      const reply = await registry.call('GET', `/v2/${name}/blobs/${digestOf(shared)}`)
      assert.ok(reply.body.equals(shared))
    }
  })

  it('see a blob as soon as its push is acknowledged', async () => {
    for (let i = 0; i < 20; i++) {
      const own = await registry.pushBlob(repository, `own ${i}`)
      assert.equal((await registry.call('HEAD', `/v2/${repository}/blobs/${own}`)).status, 200)
    }
  })
})
