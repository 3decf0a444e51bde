import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { useApp } from '../support/app.ts'
import { createAuthority } from '../support/certificates.ts'
import { call } from '../support/client.ts'
import { run } from '../support/programs.ts'
import { pushImage, sha256 } from '../support/registry.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-h2-'))
after(() => rm(folder, { recursive: true }))
const authority = await createAuthority(folder)
const source = await authority.issue('localhost')
const ca = await readFile(authority.file)
const withTls = () =>
  useApp(({ http }) => {
    http.tls = { source, minVersion: 'TLSv1.2', cipherSuites: [], clientCas: [], clientAuth: 'request' }
  })

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  code: number
}

function open(port: number, scheme = 'https'): ClientHttp2Session {
  const session = connect(`${scheme}://localhost:${port}`, {
    ca,
    settings: { initialWindowSize: 1 << 20 },
    maxSessionMemory: 500,
  })
  session.on('error', () => undefined)
  session.once('connect', () => session.setLocalWindowSize(16 << 20))
  after(() => session.destroy())
  return session
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let headers: IncomingHttpHeaders & { ':status'?: number | undefined } = {}
    stream.on('response', (all) => (headers = all))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('close', () =>
      resolve({ status: headers[':status'] ?? 0, headers, body: Buffer.concat(chunks), code: stream.rstCode }),
    )
  })
}

interface Sent {
  body?: Buffer
  headers?: OutgoingHttpHeaders
}

function ask(session: ClientHttp2Session, method: string, path: string, { body, headers }: Sent = {}) {
  const stream = session.request({ ':method': method, ':path': path, ...headers })
  stream.end(body)
  return answerOf(stream)
}

async function push(session: ClientHttp2Session, content: Buffer): Promise<string> {
  const started = await ask(session, 'POST', '/v2/a/b/blobs/uploads/')
  const location = String(started.headers.location)
  const patched = await ask(session, 'PATCH', location, { body: content })
  assert.equal(patched.status, 202)
  assert.equal(patched.headers.range, `0-${content.length - 1}`)
  const digest = sha256(content)
  const done = await ask(session, 'PUT', `${patched.headers.location}&digest=${digest}`)
  assert.equal(done.status, 201, done.body.toString())
  return digest
}

describe('HTTP/2', () => {
  it('carries 200 uploads and 200 downloads at once over one connection', async () => {
    const { port } = await withTls()
    const session = open(port)
    const contents = Array.from({ length: 200 }, (_, index) => randomBytes(50_000 + index * 1000))
    const digests = await Promise.all(contents.map((content) => push(session, content)))
    const answers = await Promise.all(digests.map((digest) => ask(session, 'GET', `/v2/a/b/blobs/${digest}`)))
    for (const [index, { status, body }] of answers.entries()) {
      assert.equal(status, 200)
      assert.ok(body.equals(contents[index]!))
    }
    assert.ok(!session.closed)
  })

  it('streams a large blob both ways', async () => {
    const session = open((await withTls()).port)
    const content = Buffer.alloc(60 << 20, randomBytes(997))
    const digest = await push(session, content)
    const { body } = await ask(session, 'GET', `/v2/a/b/blobs/${digest}`)
    assert.equal(createHash('sha256').update(body).digest('hex'), digest.slice(7))
    const part = await ask(session, 'GET', `/v2/a/b/blobs/${digest}`, { headers: { range: 'bytes=5-9' } })
    assert.equal(part.status, 206)
    assert.deepEqual(part.body, content.subarray(5, 10))
  })

  it('keeps what arrived of an upload whose stream is reset', async () => {
    const session = open((await withTls()).port)
    const content = randomBytes(300_000)
    const { headers } = await ask(session, 'POST', '/v2/a/b/blobs/uploads/')
    const path = String(headers.location)
    // A second connection breaks off in the middle of what claims to be more.
    const broken = open(session.socket.remotePort!)
    const stream = broken.request({ ':method': 'PATCH', ':path': path, 'content-length': content.length })
    stream.on('error', () => undefined)
    await new Promise((resolve) => stream.write(content.subarray(0, 200_000), resolve))
    await sleep(200)
    broken.destroy()
    await sleep(200)
    const { headers: state } = await ask(session, 'GET', path)
    const offset = Number(/0-(\d+)/.exec(String(state.range))?.[1]) + 1
    assert.ok(offset > 1 && offset <= 200_000, `kept ${offset}`)
    const rest = await ask(session, 'PATCH', path, {
      body: content.subarray(offset),
      headers: { 'content-range': `${offset}-${content.length - 1}` },
    })
    assert.equal(rest.status, 202, rest.body.toString())
    const done = await ask(session, 'PUT', `${rest.headers.location}&digest=${sha256(content)}`)
    assert.equal(done.status, 201)
  })

  it('answers before the body where it can, and does not wait for the rest', async () => {
    const { port } = await withTls()
    const session = open(port)
    const stream = session.request({ ':method': 'PUT', ':path': '/v2/a/b/manifests/v1', 'content-length': 50 << 20 })
    stream.write(randomBytes(1000))
    const { status, code } = await answerOf(stream)
    assert.equal(status, 413)
    assert.equal(code, constants.NGHTTP2_NO_ERROR)
    assert.equal((await ask(session, 'GET', '/v2/')).status, 200)
  })

  it('tells who waits for 100 Continue to go on, and refuses without it', async () => {
    const session = open((await withTls()).port)
    const { headers } = await ask(session, 'POST', '/v2/a/b/blobs/uploads/')
    const send = async (path: string) => {
      const stream = session.request({ ':method': 'PATCH', ':path': path, expect: '100-continue' })
      let continued = false
      stream.on('continue', () => {
        continued = true
        stream.end('hello')
      })
      stream.on('response', () => stream.end())
      const { status } = await answerOf(stream)
      return { status, continued }
    }
    assert.deepEqual(await send(String(headers.location)), { status: 202, continued: true })
    assert.deepEqual(await send('/v2/a/b/blobs/uploads/unknown'), { status: 404, continued: false })
  })

  it('cuts an answer that cannot be completed so that the client knows', async () => {
    const app = await withTls()
    const session = open(app.port)
    const digest = await push(session, randomBytes(3 << 20))
    const stream = session.request({ ':path': `/v2/a/b/blobs/${digest}` })
    stream.once('response', () => stream.close(constants.NGHTTP2_CANCEL))
    await answerOf(stream)
    assert.equal((await ask(session, 'GET', '/v2/')).status, 200)
    assert.doesNotMatch(app.logged(), /request\.failed/)
  })

  it('lets requests in flight end when the registry stops, and fails none', async () => {
    const app = await withTls()
    const session = open(app.port)
    const digest = await push(session, randomBytes(8 << 20))
    const { headers } = await ask(session, 'POST', '/v2/a/b/blobs/uploads/')
    const upload = session.request({ ':method': 'PATCH', ':path': String(headers.location) })
    upload.write(Buffer.alloc(1000))
    const downloads = Array.from({ length: 4 }, () => ask(session, 'GET', `/v2/a/b/blobs/${digest}`))
    await sleep(20)
    const late = ask(session, 'GET', '/v2/') // on the wire when the stop is asked
    const closed = app.close(10_000)
    await sleep(700)
    upload.end(Buffer.alloc(500))
    assert.equal((await answerOf(upload)).headers.range, '0-1499')
    for (const { status, body } of await Promise.all(downloads)) assert.deepEqual([status, body.length], [200, 8 << 20])
    assert.equal((await late).status, 200)
    await closed
  })

  it('cuts the streams that are too slow, and no other of the connection', async () => {
    const pace = { headersMs: 400, bytesPerSecond: 1000, startSeconds: 1, maxSeconds: 2 }
    const app = await useApp(({ http }) => (http.h2c = true), { pace })
    const session = open(app.port, 'http')
    const digest = await push(session, Buffer.alloc(8 << 20, 1))
    const { headers } = await ask(session, 'POST', '/v2/a/b/blobs/uploads/')
    const upload = session.request({ ':method': 'PATCH', ':path': String(headers.location) })
    upload.write('a few bytes')
    const unread = session.request({ ':path': `/v2/a/b/blobs/${digest}` })
    const cut = [upload, unread].map((stream) => new Promise((resolve) => stream.once('close', resolve)))
    for (const stream of [upload, unread]) stream.on('error', () => undefined)
    await Promise.all(cut)
    assert.equal((await ask(session, 'GET', '/v2/')).status, 200)
    // What arrived is kept.
    assert.equal((await ask(session, 'GET', String(headers.location))).headers.range, '0-10')
    const silent = connectTcp(app.port, '127.0.0.1')
    await once(silent, 'close')
  })

  it('is spoken without TLS when h2c is enabled, beside HTTP/1.1', async () => {
    const { port } = await useApp(({ http }) => (http.h2c = true))
    const session = open(port, 'http')
    const digest = await push(session, Buffer.from('in the clear'))
    const version = ['-sSf', '-o', '/dev/null', '-w', '%{http_version}', `http://127.0.0.1:${port}/v2/`]
    assert.equal(await run('curl', ['--http2-prior-knowledge', ...version]), '2')
    assert.equal(await run('curl', version), '1.1')
    const { body } = await call(`http://127.0.0.1:${port}`, 'GET', `/v2/a/b/blobs/${digest}`)
    assert.equal(body.toString(), 'in the clear')
  })

  it('is not spoken without TLS by default', async () => {
    const { port } = await useApp()
    await assert.rejects(run('curl', ['-sS', '--http2-prior-knowledge', `http://127.0.0.1:${port}/v2/`]))
    await pushImage(`http://127.0.0.1:${port}`, 'a/b', 'v1', [Buffer.from('layer')])
  })
})
