import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { eventually } from '../support/app.ts'
import { digestOf, types } from '../support/client.ts'
import { type Connection, startTogether, type Together } from '../support/processes.ts'
import { pushText } from '../support/push.ts'

describe('three processes over one SQLite database', () => {
  let registry: Together
  let connections: Connection[]
  before(async () => {
    registry = await startTogether(3)
    connections = await registry.connections()
  })
  after(async () => {
    for (const connection of connections) connection.close()
    await registry.dispose()
  })

  const of = (turn: number) => connections[turn % connections.length]!
  const put = (connection: Connection, path: string, body: Buffer) =>
    connection.call('PUT', path, { body, headers: { 'Content-Type': types.image } })

  it('see at once what any of them has acknowledged', async () => {
    const repository = 'seen/app'
    const manifests: Buffer[] = []
    for (const text of ['one', 'two', 'three', 'four']) {
      const { digest } = await pushText(registry.url, repository, undefined, text)
      manifests.push((await of(0).call('GET', `/v2/${repository}/manifests/${digest}`)).body)
    }
    for (let turn = 0; turn < 60; turn++) {
      const manifest = manifests[turn % manifests.length]!
      assert.equal((await put(of(turn), `/v2/${repository}/manifests/moving`, manifest)).status, 201)
      const seen = await Promise.all(connections.map((one) => one.call('GET', `/v2/${repository}/manifests/moving`)))
      for (const { body } of seen) assert.ok(body.equals(manifest), `turn ${turn}`)
    }
    for (const one of connections)
      assert.deepEqual(JSON.parse(String((await one.call('GET', `/v2/${repository}/tags/list`)).body)).tags, ['moving'])
  })

  it('see at once what is deleted', async () => {
    const repository = 'deleted/app'
    for (let turn = 0; turn < 9; turn++) {
      const { digest } = await pushText(registry.url, repository, 'v1', `deleted ${turn}`)
      const look = (reference: string) =>
        Promise.all(
          connections.map(async (one) => (await one.call('GET', `/v2/${repository}/manifests/${reference}`)).status),
        )
      assert.deepEqual(await look('v1'), [200, 200, 200])
      assert.equal((await of(turn).call('DELETE', `/v2/${repository}/manifests/v1`)).status, 202)
      assert.deepEqual(await look('v1'), [404, 404, 404])
      assert.deepEqual(await look(digest), [200, 200, 200])
      assert.equal((await of(turn + 1).call('DELETE', `/v2/${repository}/manifests/${digest}`)).status, 202)
      assert.deepEqual(await look(digest), [404, 404, 404])
    }
  })

  it('go on with an upload by turns', async () => {
    const parts = Array.from({ length: 7 }, () => randomBytes(50_000))
    const content = Buffer.concat(parts)
    let location = String((await of(0).call('POST', '/v2/turns/app/blobs/uploads/')).headers.location)
    for (const [turn, body] of parts.entries()) {
      const reply = await of(turn).call('PATCH', location, { body })
      assert.equal(reply.status, 202, String(reply.body))
      location = String(reply.headers.location)
    }
    const wrong = await of(1).call('PUT', `${location}&digest=${digestOf('something else')}`)
    assert.equal(wrong.status, 400)
    // That ended the session: once more, closed by each of them.
    for (const turn of [0, 1, 2]) {
      location = String((await of(0).call('POST', '/v2/turns/app/blobs/uploads/')).headers.location)
      for (const [part, body] of parts.entries())
        location = String((await of(turn + part).call('PATCH', location, { body })).headers.location)
      const closed = await of(turn + 2).call('PUT', `${location}&digest=${digestOf(content)}`)
      assert.equal(closed.status, 201, String(closed.body))
      assert.ok((await of(turn).call('GET', `/v2/turns/app/blobs/${digestOf(content)}`)).body.equals(content))
    }
  })

  it('let only one request write to an upload', async () => {
    const location = String((await of(1).call('POST', '/v2/busy/app/blobs/uploads/')).headers.location)
    const socket = connect(registry.port, '127.0.0.1')
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: registry\r\nContent-Length: 900000\r\n\r\n`)
    const content = randomBytes(900_000)
    socket.write(content.subarray(0, 700_000))
    await eventually(async () => (await of(0).call('GET', location)).headers.range !== '0-0') // it writes

    const statuses = async () => {
      const found = []
      for (const one of connections) found.push((await one.call('PATCH', location)).status) // not at once: they too are alone
      return found
    }
    assert.deepEqual(await statuses(), [416, 416, 416])
    socket.write(content.subarray(700_000))
    const answer = await new Promise<string>((resolve) =>
      socket.once('data', (chunk: Buffer) => resolve(String(chunk))),
    )
    assert.match(answer, /^HTTP\/1.1 202 /)
    socket.destroy()
    assert.deepEqual(await statuses(), [202, 202, 202])
    assert.equal((await of(2).call('PUT', `${location}&digest=${digestOf(content)}`)).status, 201)
  })

  it('write whole lines to the access log', async () => {
    const agent = 'x'.repeat(300)
    await Promise.all(
      connections.map(async (one) => {
        for (let i = 0; i < 300; i++) await one.call('GET', '/v2/', { headers: { 'User-Agent': agent } })
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 300)) // gathered for a tenth of a second
    const lines = registry
      .output()
      .split('\n')
      .filter((line) => line.includes('xxx'))
    assert.equal(lines.length, 900)
    for (const line of lines)
      assert.match(line, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/v2\/ HTTP\/1\.1" 200 2 "" "x{300}"$/)
  })
})

describe('two processes over a storage that remembers whose bytes it has seen', () => {
  it('close uploads that the other one received', async () => {
    const key = { HOLDFAST_STORAGE_ENCRYPTION_KEYS_0_ID: 'a', HOLDFAST_STORAGE_ENCRYPTION_KEYS_0_KEY: '0a'.repeat(32) }
    const registry = await startTogether(2, { env: key })
    after(() => registry.dispose())
    const connections = await registry.connections()
    after(() => connections.forEach((connection) => connection.close()))
    for (const [one, other] of [connections, connections.toReversed()] as [Connection, Connection][]) {
      const body = randomBytes(200_000)
      const { headers } = await one.call('POST', '/v2/app/uploads/blobs/uploads/')
      const sent = await one.call('PATCH', headers.location!, { body })
      const target = `${sent.headers.location}&digest=${digestOf(body)}`
      assert.equal((await other.call('PUT', target)).status, 201)
      const read = await one.call('GET', `/v2/app/uploads/blobs/${digestOf(body)}`)
      assert.ok(read.body.equals(body))
    }
  })
})
