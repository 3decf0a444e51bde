import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { HttpConfiguration } from '../../src/config/configuration.ts'
import { type TestApp, useApp } from '../support/app.ts'
import { type CallOptions, call, types } from '../support/client.ts'
import { run } from '../support/programs.ts'

const withHttp = (more: Partial<HttpConfiguration>) => useApp(({ http }) => Object.assign(http, more))
const at = ({ port }: TestApp) => `http://127.0.0.1:${port}`

/** The Location of a new upload, with its id left out. */
async function locationOf(app: TestApp, headers: CallOptions['headers'] = {}, prefix = '/'): Promise<string> {
  const { headers: answer } = await call(at(app), 'POST', `${prefix}v2/a/b/blobs/uploads/`, { headers })
  return answer.location!.replace(/[0-9a-f-]{36}.*/, 'ID')
}

describe('absolute URLs', () => {
  it('are relative by default', async () => {
    assert.equal(await locationOf(await withHttp({}), { Host: 'evil.example.com' }), '/v2/a/b/blobs/uploads/ID')
  })

  it('begin with the origin whatever the request says', async () => {
    const app = await withHttp({ origin: 'https://registry.example.com' })
    const headers = { Host: 'other', 'X-Forwarded-Host': 'third', Forwarded: 'host=fourth' }
    assert.equal(await locationOf(app, headers), 'https://registry.example.com/v2/a/b/blobs/uploads/ID')
    const body = JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [] })
    for (const tag of ['v1', 'v2'])
      await call(at(app), 'PUT', `/v2/a/b/manifests/${tag}`, { body, headers: { 'Content-Type': types.index } })
    const list = await call(at(app), 'GET', '/v2/a/b/tags/list?n=1')
    assert.equal(list.headers.link, '<https://registry.example.com/v2/a/b/tags/list?n=1&last=v1>; rel="next"')
  })

  it('begin with the host of the request when they may not be relative, if that is a host', async () => {
    const app = await withHttp({ relativeUrls: false })
    assert.equal(await locationOf(app, { Host: 'me:5000' }), 'http://me:5000/v2/a/b/blobs/uploads/ID')
    assert.equal(await locationOf(app, { Host: '[::1]:5000' }), 'http://[::1]:5000/v2/a/b/blobs/uploads/ID')
    assert.equal(await locationOf(app, { Host: 'me>;rel="x"' }), '/v2/a/b/blobs/uploads/ID')
    const forged = { Host: 'me', 'X-Forwarded-Proto': 'https', Forwarded: 'host=evil;proto=https' }
    assert.equal(await locationOf(app, forged), 'http://me/v2/a/b/blobs/uploads/ID')
  })

  it('begin with what a trusted proxy says', async () => {
    const app = await withHttp({ relativeUrls: false, trustedProxies: ['127.0.0.0/8'] })
    for (const headers of [
      { Forwarded: 'for=1.2.3.4;proto=https;host="out.example.com"' },
      { Forwarded: 'proto=https;host=out.example.com', 'X-Forwarded-Host': 'other', 'X-Forwarded-Proto': 'http' },
      {
        Forwarded:
          'for=9.9.9.9;host=forged.example.com, for=1.2.3.4;proto=https;host=out.example.com, for=127.0.0.9;host=in',
      },
      { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'out.example.com, inner' },
    ])
      assert.equal(await locationOf(app, headers), 'https://out.example.com/v2/a/b/blobs/uploads/ID')
    assert.equal(
      await locationOf(app, { Host: 'me', 'X-Forwarded-Proto': 'gopher' }),
      'http://me/v2/a/b/blobs/uploads/ID',
    )
  })

  it('and paths have the prefix, under which alone the API is', async () => {
    const app = await withHttp({ prefix: '/some/where/' })
    assert.equal(await locationOf(app, {}, '/some/where/'), '/some/where/v2/a/b/blobs/uploads/ID')
    const { status } = await call(at(app), 'GET', '/v2/')
    assert.deepEqual([status, (await call(at(app), 'GET', '/some/where/v2/')).status], [404, 200])
    assert.equal((await call(at(app), 'GET', '/')).status, 200)
    const there = new URL((await call(at(app), 'POST', '/some/where/v2/a/b/blobs/uploads/')).headers.location!, at(app))
    assert.equal((await call(at(app), 'GET', there.pathname)).status, 204)
  })
})

describe('the address of a client', () => {
  it('is asked of no proxy whose address is none', async () => {
    await assert.rejects(withHttp({ trustedProxies: ['lb.example.com'] }), /Cannot trust the proxy "lb\.example\.com"/)
  })

  const addressOf = async (trustedProxies: string[], headers: Record<string, string>) => {
    const app = await withHttp({ trustedProxies })
    await call(at(app), 'GET', '/v2/', { headers })
    await app.close()
    return app.accessed().split(' ')[0]
  }

  for (const [what, headers, address] of [
    ['Forwarded', { Forwarded: 'for=192.0.2.60;proto=http, for=127.0.0.9' }, '192.0.2.60'],
    ['Forwarded with ports and IPv6', { Forwarded: 'For="[2001:db8:cafe::17]:4711"' }, '2001:db8:cafe::17'],
    ['X-Forwarded-For', { 'X-Forwarded-For': '6.6.6.6, 192.0.2.61, 127.0.0.2' }, '192.0.2.61'],
    ['X-Real-IP', { 'X-Real-IP': '192.0.2.62' }, '192.0.2.62'],
    ['Forwarded before X-Forwarded-For', { Forwarded: 'for=192.0.2.1', 'X-Forwarded-For': '192.0.2.2' }, '192.0.2.1'],
    ['IPv4 within IPv6', { 'X-Forwarded-For': '::FFFF:192.0.2.62' }, '192.0.2.62'],
    ['IPv4 within IPv6 in its other form', { Forwarded: 'for="[::ffff:c000:23f]"' }, '192.0.2.63'],
    ['nothing from words that are no address', { 'X-Forwarded-For': 'unknown, <script>' }, '127.0.0.1'],
  ] as const) {
    it(`is read from a trusted proxy's ${what}`, async () => {
      assert.equal(await addressOf(['127.0.0.0/8', '::1'], headers), address)
      assert.equal(await addressOf([], headers), '127.0.0.1')
      assert.equal(await addressOf(['10.0.0.0/8'], headers), '127.0.0.1')
    })
  }
})

it('adds the configured headers to every answer of the API, and changes none of its own', async () => {
  const headers = {
    'X-Content-Type-Options': ['nosniff'],
    'Access-Control-Allow-Origin': ['a', 'b'],
    'content-type': ['x'],
  }
  const app = await withHttp({ headers })
  const answer = await fetch(`${at(app)}/v2/`)
  assert.equal(answer.headers.get('access-control-allow-origin'), 'a, b')
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.equal((await fetch(`${at(app)}/v2/x/y/manifests/z`)).headers.get('access-control-allow-origin'), 'a, b')
  assert.equal((await fetch(`${at(app)}/`)).headers.get('access-control-allow-origin'), null)
  await assert.rejects(withHttp({ headers: { 'bad name': ['x'] } }), /Cannot use http\.headers "bad name: x"/)
})

describe('a unix socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-unix-'))
  after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'registry.sock')
  const ask = () => run('curl', ['-sS', '--unix-socket', path, 'http://registry/v2/'])

  it('is listened on, and removed at the end', async () => {
    const app = await withHttp({ address: { path } })
    assert.equal(await ask(), '{}')
    await app.close()
    assert.match(app.accessed(), /^- - - \[/)
    await assert.rejects(stat(path))
  })

  it('that a dead process left is taken over', async () => {
    await run(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]).catch(() => undefined)
    assert.ok((await stat(path)).isSocket())
    const app = await withHttp({ address: { path } })
    assert.equal(await ask(), '{}')
    await app.close()
  })

  it('that somebody listens on, or that is a file, is an error', async () => {
    const other = createServer().listen(path)
    await assert.rejects(
      withHttp({ address: { path } }),
      /Cannot listen on .*registry\.sock: another program listens there/,
    )
    await new Promise((resolve) => other.close(resolve))
    await writeFile(path, 'precious')
    await assert.rejects(withHttp({ address: { path } }), /is there and no socket/)
    assert.equal(await readFile(path, 'utf8'), 'precious')
  })
})

it('lets a request in flight end when it stops, and cuts it when its time is over', async () => {
  for (const [drainMs, expected] of [
    [5000, 202],
    [300, 'cut'],
  ] as const) {
    const app = await withHttp({ drainMs })
    const path = (await call(at(app), 'POST', '/v2/a/b/blobs/uploads/')).headers.location!
    const upload = request({ port: app.port, method: 'PATCH', path, headers: { 'Content-Length': 10 } })
    const answered = new Promise((resolve) =>
      upload.on('response', (answer) => resolve(answer.statusCode)).on('error', () => resolve('cut')),
    )
    upload.write('hello')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const closed = app.close()
    setTimeout(() => upload.end('world'), 1000)
    assert.equal(await answered, expected)
    await closed
  }
})
