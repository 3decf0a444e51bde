import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { eventually, type TestApp, useApp } from '../support/app.ts'
import { call } from '../support/client.ts'
import { pushImage, sha256, startRegistry } from '../support/registry.ts'

const combined =
  /^(\S+) - (\S+) \[(\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$/

/** The fields of each line, once there are so many. */
async function linesOf(app: TestApp, count: number): Promise<string[][]> {
  const lines = () => app.accessed().split('\n').slice(0, -1)
  await eventually(() => lines().length >= count)
  return lines().map((line) => {
    const match = combined.exec(line)
    assert.ok(match, line)
    return match.slice(1)
  })
}

async function sendRaw(port: number, text: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.end(Buffer.from(text, 'latin1'))
  socket.resume()
  await once(socket, 'close')
}

describe('the access log', () => {
  it('has a line of the Combined Log Format for each request', async () => {
    const app = await useApp()
    const url = `http://127.0.0.1:${app.port}`
    await call(url, 'GET', '/v2/?x=1', { headers: { Referer: 'http://a/"b', 'User-Agent': 'docker/1 (linux)' } })
    await call(url, 'HEAD', '/v2/')
    await call(url, 'GET', '/nothing')
    const [first, head, nothing] = await linesOf(app, 3)
    const stamp = first![2]!
    assert.deepEqual(first, [
      '127.0.0.1',
      '-',
      stamp,
      'GET /v2/?x=1 HTTP/1.1',
      '200',
      '2',
      'http://a/\\"b',
      'docker/1 (linux)',
    ])
    assert.ok(Math.abs(Date.parse(stamp.replaceAll('/', ' ').replace(':', ' ')) - Date.now()) < 60_000)
    assert.deepEqual(head!.slice(3), ['HEAD /v2/ HTTP/1.1', '200', '0', '', ''])
    assert.equal(nothing![4], '404')
  })

  it('cannot be forged by anything a client sends', async () => {
    const app = await useApp()
    const agent = 'x" 200 1 "-" "y\\\xe9\t'
    await sendRaw(app.port, `GET /v2/"\\a HTTP/1.1\r\nHost: x\r\nUser-Agent: ${agent}\r\nConnection: close\r\n\r\n`)
    const [fields, more] = await linesOf(app, 1)
    assert.equal(more, undefined)
    assert.doesNotMatch(app.accessed(), /[^\x20-\x7e\n]/)
    assert.match(fields![7]!, /^x\\" 200 1 \\"-\\" \\"y\\\\/)
  })

  it('tells a download that was broken off as 499', async () => {
    const app = await useApp()
    const url = `http://127.0.0.1:${app.port}`
    const layer = Buffer.alloc(64 << 20)
    await pushImage(url, 'a/b', 'v1', [layer])
    const { length } = await linesOf(app, 5)
    const socket = connect(app.port, '127.0.0.1')
    socket.write(`GET /v2/a/b/blobs/${sha256(layer)} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await once(socket, 'data')
    socket.resetAndDestroy()
    const fields = (await linesOf(app, length + 1)).at(-1)!
    assert.equal(fields[4], '499')
    assert.ok(Number(fields[5]) < layer.length)
  })

  it('is not written when it is switched off', async () => {
    const app = await useApp(({ log }) => (log.access = false))
    await call(`http://127.0.0.1:${app.port}`, 'GET', '/v2/')
    await app.close()
    assert.equal(app.accessed(), '')
  })

  it('goes to standard output, whole when the registry stops, and the log of the program to standard error', async () => {
    const registry = await startRegistry()
    await fetch(`${registry.url}/v2/`)
    await registry.stop()
    assert.match(registry.output(), /"GET \/v2\/ HTTP\/1\.1" 200 2 /)
    assert.match(registry.errors(), /registry\.listening/)
    assert.doesNotMatch(registry.errors(), /HTTP\/1\.1/)
    await registry.dispose()
  })
})
