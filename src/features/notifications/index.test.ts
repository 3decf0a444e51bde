import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { createApp } from '../../app.ts'
import type { Configuration, NotificationEndpoint } from '../../config/configuration.ts'
import { defaultConfiguration } from '../../../test/support/defaults.ts'
import type { Log } from '../../platform/log.ts'
import { pushImage, sha256 } from '../../../test/support/registry.ts'

interface Told {
  id: string
  timestamp: string
  action: string
  target: Record<string, unknown> & { references?: { digest: string }[] }
  request: { id: string; addr: string; host: string; method: string; useragent: string }
  actor: object
  source: { addr: string; instanceID: string }
}

/** A receiver that answers `status`, or not at all, and keeps what it was told. */
async function startReceiver() {
  const told: Told[] = []
  const headers: IncomingHttpHeaders[] = []
  const bodies: string[] = []
  let changed = Promise.withResolvers<void>()
  const receiver = {
    url: '',
    status: 200 as number | 'silent',
    tries: 0,
    told,
    headers,
    bodies,
    /** Waits until `count` notifications came. */
    async has(count: number): Promise<Told[]> {
      while (told.length < count) await changed.promise
      return told
    },
    async triedTimes(count: number): Promise<void> {
      while (receiver.tries < count) await changed.promise
    },
    close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    receiver.tries++
    if (receiver.status === 200) {
      const body = Buffer.concat(chunks).toString()
      headers.push(request.headers)
      bodies.push(body)
      told.push(...(JSON.parse(body) as { events: Told[] }).events)
    }
    if (receiver.status !== 'silent') response.writeHead(receiver.status).end()
    changed.resolve()
    changed = Promise.withResolvers()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return receiver
}

const endpointOf = (url: string, more: Partial<NotificationEndpoint> = {}): NotificationEndpoint => ({
  name: 'receiver',
  url,
  headers: {},
  timeoutMs: 1000,
  threshold: 3,
  backoffMs: 50,
  ignore: { mediaTypes: [], actions: [] },
  ...more,
})

describe('notifications', () => {
  let folder: string
  let receiver: Awaited<ReturnType<typeof startReceiver>>
  const logged: string[] = []
  const record = (event: string) => void logged.push(event)
  const log: Log = { debug: record, info: record, warn: record, error: record }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-notifications-'))
  })
  after(() => rm(folder, { recursive: true }))
  beforeEach(async (context) => {
    receiver = await startReceiver()
    if ('after' in context) context.after(() => receiver.close())
  })

  let stores = 0
  async function start(
    endpoints: NotificationEndpoint[],
    change: (c: Configuration) => void = () => {},
    data = `${stores++}`,
  ) {
    const configuration = defaultConfiguration()
    configuration.storage.root = join(folder, data)
    configuration.http.address = { host: '127.0.0.1', port: 0 }
    configuration.notifications.endpoints = endpoints
    change(configuration)
    const app = await createApp({ configuration, log })
    const { address, debug } = await app.listen()
    const port = 'port' in address ? address.port : 0
    const url = `http://127.0.0.1:${port}`
    const call = async (method: string, path: string, headers: Record<string, string> = {}) =>
      (await fetch(`${url}/v2/${path}`, { method, headers })).arrayBuffer()
    return {
      app,
      debug: debug && 'port' in debug ? `http://127.0.0.1:${debug.port}` : '',
      url,
      host: `127.0.0.1:${port}`,
      call,
      data,
    }
  }

  it('tell what an operator must know, where that is asked for', async () => {
    const { app } = await start([endpointOf(receiver.url)], ({ notifications }) => {
      notifications.alerts = true
    })
    const actor = { name: '', address: '' }
    const detail = { scope: 'acme', used: 9, limit: 10 }
    await app.metadata.events.record([{ type: 'alert', what: 'quota.near', repository: '', detail, actor }])
    const [told] = await receiver.has(1)
    await app.close(0)
    assert.equal(told?.action, 'alert')
    assert.deepEqual(told.target, { repository: '', alert: { type: 'quota.near', ...detail } })
  })

  it('tell what registry:2 tells, in its order and words', async () => {
    const withCredentials = receiver.url.replace('http://', 'http://us:pa@')
    const endpoint = endpointOf(withCredentials, { headers: { 'X-Token': ['abc'] } })
    const { app, url, host, call } = await start([endpoint])
    const layer = Buffer.from('a layer')
    const { digest, manifest } = await pushImage(url, 'a/b', 'v1', [layer])
    const blob = sha256(layer)
    await call('GET', 'a/b/manifests/v1', { 'User-Agent': 'tester/1' })
    await call('HEAD', `a/b/manifests/${digest}`)
    await call('GET', `a/b/manifests/${digest}`, { 'If-None-Match': `"${digest}"` })
    await call('GET', `a/b/blobs/${blob}`)
    await call('HEAD', `a/b/blobs/${blob}`)
    await receiver.has(7)
    const alert = { type: 'alert' as const, what: 'quota.near', repository: '', detail: {} }
    await app.metadata.events.record([{ ...alert, actor: { name: '', address: '' } }]) // registry:2 has none
    await call('POST', `c/d/blobs/uploads/?mount=${blob}&from=a/b`)
    await call('DELETE', `a/b/manifests/${digest}`)
    await call('DELETE', `a/b/blobs/${blob}`)
    const told = await receiver.has(11)
    await app.close(0)

    const own = told.map(({ action, target }) => [action, target])
    const size = manifest.length
    const blobTarget = {
      mediaType: 'application/octet-stream',
      size: 7,
      digest: blob,
      length: 7,
      repository: 'a/b',
      url: `http://${host}/v2/a/b/blobs/${blob}`,
    }
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const manifestUrl = `http://${host}/v2/a/b/manifests/${digest}`
    const target = { mediaType, size, digest, length: size, repository: 'a/b', url: manifestUrl }
    assert.deepEqual(own.slice(2), [
      ['push', { ...target, tag: 'v1' }],
      ['pull', { ...target, tag: 'v1' }],
      ['pull', target],
      ['pull', blobTarget],
      ['pull', blobTarget],
      ['mount', { ...blobTarget, repository: 'c/d', url: blobTarget.url.replace('a/b', 'c/d'), fromRepository: 'a/b' }],
      ['delete', { digest, repository: 'a/b' }],
      ['delete', { repository: 'a/b', tag: 'v1' }],
      ['delete', { digest: blob, repository: 'a/b' }],
    ])
    assert.deepEqual(
      own.slice(0, 2).map(([action]) => action),
      ['push', 'push'],
    )
    const [, , , pull] = told
    assert.deepEqual(
      { ...pull!.request, id: '' },
      { id: '', addr: '127.0.0.1', host, method: 'GET', useragent: 'tester/1' },
    )
    assert.deepEqual(pull!.actor, {})
    assert.equal(pull!.source.addr, `${hostname()}:0`)
    assert.equal(new Set(told.map(({ id }) => id)).size, told.length)
    for (const { id, timestamp } of told) {
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.ok(Math.abs(Date.parse(timestamp) - Date.now()) < 60_000)
    }
    for (const header of receiver.headers) {
      assert.equal(header['content-type'], 'application/vnd.docker.distribution.events.v2+json')
      assert.deepEqual(
        [header['x-token'], header.authorization],
        ['abc', `Basic ${Buffer.from('us:pa').toString('base64')}`],
      )
    }
    assert.match(receiver.bodies[0]!, /^\{\n {3}"events": \[\n {6}\{\n {9}"id": "/)
  })

  it('tell references and the older content type where they are asked for, and leave out what is ignored', async () => {
    const ignore = { actions: ['pull'], mediaTypes: ['application/octet-stream'] }
    const { app, url, call } = await start([endpointOf(receiver.url, { ignore })], ({ notifications }) => {
      notifications.includeReferences = true
      notifications.version = 'v1'
    })
    const layers = [Buffer.from('one'), Buffer.from('two')]
    const { digest, manifest } = await pushImage(url, 'a/b', 'v1', layers)
    await call('GET', 'a/b/manifests/v1')
    await call('DELETE', `a/b/manifests/v1`)
    const [push, untagged, ...rest] = await receiver.has(2)
    await app.close(0)
    assert.deepEqual(rest, [])
    const { config } = JSON.parse(manifest.toString()) as { config: { digest: string } }
    assert.deepEqual(
      push!.target.references?.map((one) => one.digest),
      [config.digest, ...layers.map(sha256)],
    )
    assert.equal(push!.target.digest, digest)
    assert.deepEqual([untagged!.action, untagged!.target], ['delete', { repository: 'a/b', tag: 'v1' }])
    assert.equal(receiver.headers[0]!['content-type'], 'application/vnd.docker.distribution.events.v1+json')
  })

  it('are not lost by a restart, and a new endpoint is told only what comes', async () => {
    receiver.status = 503
    const ignore = { actions: ['pull'], mediaTypes: ['application/octet-stream'] }
    const endpoint = endpointOf(receiver.url, { ignore })
    const first = await start([endpoint])
    const { digest } = await pushImage(first.url, 'a/b', 'v1', [])
    await receiver.triedTimes(4)
    await first.app.close(0)
    assert.equal(logged.filter((event) => event === 'notification.backing-off').length, 1)

    const newcomer = await startReceiver()
    const again = await start([endpoint, endpointOf(newcomer.url, { name: 'newcomer', ignore })], undefined, first.data)
    receiver.status = 200
    const other = await pushImage(again.url, 'a/c', 'v2', [])
    const told = await receiver.has(2)
    assert.deepEqual(
      told.map(({ target }) => target.digest),
      [digest, other.digest],
    )
    assert.deepEqual(
      (await newcomer.has(1)).map(({ target }) => target.digest),
      [other.digest],
    )
    await again.app.close(0)
    await newcomer.close()

    const third = await start([endpoint], undefined, first.data)
    await third.call('DELETE', 'a/b/manifests/v1')
    assert.equal((await receiver.has(3)).length, 3, 'what was taken is not told again')
    await third.app.close(0)
  })

  it('to a dead endpoint hold up neither a push nor another endpoint, and come when it lives again', async () => {
    const dead = await startReceiver()
    dead.status = 'silent'
    const ignore = { actions: ['pull'], mediaTypes: [] }
    const { app, url } = await start([
      endpointOf(dead.url, { timeoutMs: 200, ignore }),
      endpointOf('http://127.0.0.1:1/', { ignore, backoffMs: 20 }),
      endpointOf(receiver.url, { ignore }), // all of one name: each has a place of its own all the same
    ])
    for (let i = 0; i < 5; i++) await pushImage(url, 'a/b', `v${i}`, [Buffer.from(`layer ${i}`)])
    assert.equal((await receiver.has(15)).length, 15)
    assert.equal(dead.told.length, 0)
    dead.status = 200
    const late = await dead.has(15)
    assert.deepEqual(
      late.map(({ id, target }) => [id, target]),
      receiver.told.map(({ id, target }) => [id, target]),
    )
    await app.close(0)
    await dead.close()
  })

  it('are sent again under the same id when the endpoint did not take them, and counted', async () => {
    receiver.status = 'silent'
    const { app, url, debug } = await start(
      [endpointOf(receiver.url, { timeoutMs: 100, backoffMs: 10 })],
      ({ http }) => {
        http.debug = { address: { host: '127.0.0.1', port: 0 }, metricsPath: '/metrics' }
      },
    )
    await pushImage(url, 'a/b', 'v1', [])
    await receiver.triedTimes(5)
    receiver.status = 200
    const told = await receiver.has(2)
    assert.deepEqual(
      told.map(({ action }) => action),
      ['push', 'push'],
    )
    assert.ok(logged.includes('notification.recovered'))
    const text = await (await fetch(`${debug}/metrics`)).text()
    const lines = text.split('\n')
    const value = (series: string) =>
      Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1))
    const events = (type: string) => value(`registry_notifications_events_total{type="${type}",endpoint="receiver"}`)
    assert.equal(events('Events'), 2)
    assert.equal(events('Successes'), 2)
    assert.ok(events('Errors') >= 5)
    assert.equal(value('registry_notifications_status_total{code="200 OK",endpoint="receiver"}'), 2)
    assert.ok(value('registry_notifications_pending_total{endpoint="receiver"}') <= 1)
    await app.close(0)
  })
})
