import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { configurationFor } from '../support/configuration.ts'
import { call, digestOf, pathOf, useRegistry } from '../support/client.ts'

// The real parts with a patience that a test can wait for: what is slower than 1,000 bytes a second has about two seconds.
const data = await mkdtemp(join(tmpdir(), 'holdfast-pace-'))
const log = createLog('error', () => undefined, { now: () => new Date() })
const pace = { headersMs: 400, idleMs: 1500, bytesPerSecond: 1000, startSeconds: 1, maxSeconds: 2 }
const app = await createApp({ configuration: configurationFor(data), log, pace })
const { address } = await app.listen()
const { port } = address as { port: number }
const url = `http://127.0.0.1:${port}`
after(async () => {
  await app.close(0)
  await rm(data, { recursive: true })
})

interface Sender {
  socket: Socket
  /** Milliseconds until the server ended the connection, and all it said. */
  ended: Promise<{ ms: number; text: string }>
}

function open(): Sender {
  const begun = performance.now()
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  const ended = new Promise<{ ms: number; text: string }>((resolve) =>
    socket.once('close', () => resolve({ ms: performance.now() - begun, text })),
  )
  return { socket, ended }
}

async function startUpload(): Promise<string> {
  return pathOf(await call(url, 'POST', '/v2/slow/blobs/uploads/'))
}

/** Sends `text` every `everyMs` until `times` are out or the connection is gone. */
async function drip(
  socket: Socket,
  text: string,
  { everyMs, times }: { everyMs: number; times: number },
): Promise<void> {
  for (let i = 0; i < times && !socket.destroyed; i++) {
    socket.write(text)
    await sleep(everyMs)
  }
}

describe('the pace of a client', { concurrency: true }, () => {
  it('cuts headers that do not come to an end', async () => {
    const { socket, ended } = open()
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n')
    void drip(socket, 'X-more: x\r\n', { everyMs: 100, times: 100 })
    const { ms, text } = await ended
    assert.ok(ms < 3000, `cut after ${ms} ms`)
    assert.match(text, /^(HTTP\/1.1 408 |$)/)
  })

  it('closes a connection that waits too long for its next request, and not before', async () => {
    const { socket, ended } = open()
    await drip(socket, 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n', { everyMs: 700, times: 4 })
    const { ms, text } = await ended
    assert.equal(text.match(/HTTP\/1.1 200/g)?.length, 4)
    assert.ok(ms > 3000 && ms < 5500, `closed after ${ms} ms`)
  })

  for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked'])
    it(`cuts a manifest that does not come to an end: ${framing}`, async () => {
      const { socket, ended } = open()
      const type = 'Content-Type: application/vnd.oci.image.manifest.v1+json'
      const start = framing.startsWith('T') ? '1\r\n{\r\n' : '{'
      socket.write(`PUT /v2/slow/manifests/v1 HTTP/1.1\r\nHost: x\r\n${type}\r\n${framing}\r\n\r\n${start}`)
      const { ms } = await Promise.race([ended, sleep(8000, { ms: Infinity })])
      assert.ok(ms > 1000 && ms < 5000, `cut after ${ms} ms`)
      socket.destroy()
    })

  it('cuts a body of a few bytes a second, and keeps what came of it', async () => {
    const path = await startUpload()
    const { socket, ended } = open()
    socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`)
    void drip(socket, 'x', { everyMs: 100, times: 100 })
    const { ms } = await ended
    assert.ok(ms > 1000 && ms < 5000, `cut after ${ms} ms`)
    const status = await call(url, 'GET', path)
    assert.equal(status.status, 204)
    assert.match(status.headers.range ?? '', /^0-[1-9]\d?$/)
  })

  it('lets a slow but steady upload through that lasts longer than all its limits', async () => {
    const path = await startUpload()
    const { socket, ended } = open()
    const piece = 'x'.repeat(400)
    socket.write(
      `PUT ${path}&digest=${digestOf(piece.repeat(60))} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${400 * 60}\r\n\r\n`,
    )
    await drip(socket, piece, { everyMs: 100, times: 60 })
    const { ms, text } = await ended
    assert.ok(ms > 1000 * (pace.startSeconds + pace.maxSeconds + 2))
    assert.match(text, /^HTTP\/1.1 201 /)
  })

  it('cuts a download that is not read', async () => {
    const content = Buffer.alloc(24 << 20, 'x')
    await call(url, 'POST', `/v2/slow/blobs/uploads/?digest=${digestOf(content)}`, { body: content })
    const { socket, ended } = open()
    socket.write(`GET /v2/slow/blobs/${digestOf(content)} HTTP/1.1\r\nHost: x\r\n\r\n`)
    socket.pause()
    await sleep(5000)
    socket.resume()
    const { text } = await ended
    assert.ok(text.length < content.length, 'the rest was not sent')
  })

  it('lets a download go on that is read slowly but steadily', async () => {
    const content = Buffer.alloc(8 << 20, 'x')
    await call(url, 'POST', `/v2/slow/blobs/uploads/?digest=${digestOf(content)}`, { body: content })
    const { socket, ended } = open()
    socket.write(`GET /v2/slow/blobs/${digestOf(content)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    const breath = setInterval(() => (socket.isPaused() ? socket.resume() : socket.pause()), 50)
    const { text } = await ended
    clearInterval(breath)
    assert.ok(text.length > content.length)
  })
})

async function openFiles(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return Number(/Max open files\s+\d+\s+(\d+)/.exec(limits)?.[1] ?? 0)
}

const wanted = 10_000
const skip = (await openFiles()) < wanted + 500 ? `needs ${wanted + 500} open files (ulimit -Hn)` : false

it('answers quickly beside 10,000 idle connections', { skip, timeout: 60_000 }, async () => {
  const registry = await useRegistry()
  const idle: Socket[] = []
  // From several addresses, because one has fewer ports than this to connect from.
  const openIdle = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ port: registry.port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (index % 4)}` })
      idle.push(socket)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.on('error', () => undefined)
        resolve()
      })
    })
  try {
    for (let i = 0; i < wanted; i += 500) await Promise.all(Array.from({ length: 500 }, (_, k) => openIdle(i + k)))
    const times: number[] = []
    for (let i = 0; i < 100; i++) {
      const begun = performance.now()
      assert.equal((await registry.call('GET', '/v2/')).status, 200)
      times.push(performance.now() - begun)
    }
    const median = times.toSorted((a, b) => a - b)[50]!
    assert.ok(median < 100, `the median answer took ${median} ms`)
  } finally {
    for (const socket of idle) socket.destroy()
  }
})
