import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Configuration } from '../../src/config/configuration.ts'
import { defaultConfiguration } from '../support/defaults.ts'
import { configuredChecks } from '../../src/features/health/probes.ts'
import { createFilesystem } from '../../src/storage/filesystem.ts'
import { eventually, type TestApp, useApp } from '../support/app.ts'

const debugAt = { address: { host: '127.0.0.1', port: 0 }, metricsPath: undefined }
const start = (change: (health: Configuration['health'], folder: string) => void = () => {}) =>
  useApp((configuration, folder) => {
    configuration.http.debug = debugAt
    change(configuration.health, folder)
  })
const statusAt = async (port: number, path: string, method = 'GET') =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { method })).status
const stateOf = async ({ debugPort }: TestApp) => {
  const answer = await fetch(`http://127.0.0.1:${debugPort}/debug/health`)
  return { status: answer.status, body: await answer.json() }
}
const isFailing = (app: TestApp) => eventually(async () => (await stateOf(app)).status === 503)
const isFine = (app: TestApp) => eventually(async () => (await stateOf(app)).status === 200)

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  after(() => server.close())
  return (server.address() as AddressInfo).port
}

describe('health', () => {
  it('is set by hand, and keeps the API from answering but not what is asked for its state', async () => {
    const app = await start()
    assert.deepEqual(await stateOf(app), { status: 200, body: {} })
    assert.equal(await statusAt(app.debugPort, '/debug/health/down', 'POST'), 200)
    assert.deepEqual(await stateOf(app), { status: 503, body: { manual_http_status: 'manual Check' } })
    const refused = await fetch(`http://127.0.0.1:${app.port}/v2/_catalog`)
    assert.equal(refused.status, 503)
    assert.deepEqual(await refused.json(), {
      errors: [
        {
          code: 'UNAVAILABLE',
          message: 'service unavailable',
          detail: 'health check failed: please see /debug/health',
        },
      ],
    })
    for (const path of ['/', '/v2/', '/livez']) assert.equal(await statusAt(app.port, path), 200, path)
    for (const path of ['/healthz', '/readyz']) assert.equal(await statusAt(app.port, path), 503, path)
    assert.equal(await statusAt(app.debugPort, '/debug/health/up', 'POST'), 200)
    for (const path of ['/v2/_catalog', '/healthz', '/readyz']) assert.equal(await statusAt(app.port, path), 200, path)
    assert.doesNotMatch(app.logged(), /request\.failed/)
  })

  it('is nothing of the debug listener on the port of the registry, nor the other way round', async () => {
    const app = await start()
    for (const path of ['/debug/health', '/metrics', '/debug/vars']) assert.equal(await statusAt(app.port, path), 404)
    for (const path of ['/v2/', '/metrics', '/debug/vars', '/debug/pprof/', '/debug/pprof/heap'])
      assert.equal(await statusAt(app.debugPort, path), 404, path)
    assert.match(await (await fetch(`http://127.0.0.1:${app.debugPort}/debug/vars`)).text(), /^not offered/)
  })

  it('fails while a file is there', async () => {
    const app = await start((health, folder) => health.files.push({ path: join(folder, 'down'), intervalMs: 100 }))
    await isFine(app)
    await writeFile(join(app.folder, 'down'), '')
    await isFailing(app)
    assert.deepEqual((await stateOf(app)).body, { [join(app.folder, 'down')]: 'file exists' })
    await rm(join(app.folder, 'down'))
    await isFine(app)
    assert.match(app.logged(), /health\.failing .*health\.recovered/s)
  })

  it('fails while another service does, after as many times as it may', async () => {
    let status = 204
    let asked = 0
    const service = createHttpServer((request, response) => {
      asked++
      response.writeHead(request.method === 'HEAD' && request.headers['x-who'] === 'me' ? status : 400).end()
    })
    const url = `http://127.0.0.1:${await listen(service)}/`
    const app = await start((health) =>
      health.http.push({
        url,
        status: 204,
        headers: { 'X-Who': ['me'] },
        timeoutMs: 1000,
        intervalMs: 100,
        threshold: 3,
      }),
    )
    await eventually(() => asked > 0)
    await isFine(app)
    const before = asked
    status = 500
    await isFailing(app)
    assert.ok(asked - before >= 3)
    assert.match(JSON.stringify((await stateOf(app)).body), /unexpected status: 500/)
    status = 204
    await isFine(app)
  })

  it('fails while nobody listens at an address', async () => {
    const server = createServer((socket) => socket.end())
    const port = await listen(server)
    const app = await start((health) =>
      health.tcp.push({ host: '127.0.0.1', port, timeoutMs: 1000, intervalMs: 100, threshold: 1 }),
    )
    await isFine(app)
    await new Promise((resolve) => server.close(resolve))
    await isFailing(app)
    assert.deepEqual((await stateOf(app)).body, { [`127.0.0.1:${port}`]: `connection to 127.0.0.1:${port} failed` })
  })

  it('fails while the storage cannot be written to, and shows no path', async () => {
    const app = await start((health) => (health.storage = { enabled: true, intervalMs: 100, threshold: 2 }))
    await isFine(app)
    const configuration = defaultConfiguration()
    configuration.health.storage = { enabled: true, intervalMs: 100, threshold: 2 }
    const full = Object.assign(new Error('ENOSPC: no space left, write /secret/path'), { code: 'ENOSPC' })
    const driver = { ...createFilesystem(app.folder), put: () => Promise.reject(full) }
    const [check] = configuredChecks(configuration, driver)
    await assert.rejects(check!.run(), /^Error: the storage fails: ENOSPC$/)
  })

  it('is not ready any more while the registry stops', async () => {
    const app = await start()
    const { Agent, request } = await import('node:http')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = () =>
      new Promise<number | undefined>((resolve, reject) => {
        const sent = request({ port: app.port, path: '/readyz', agent }, (answer) =>
          answer.resume().on('end', () => resolve(answer.statusCode)),
        )
        sent.on('error', reject).end()
      })
    assert.equal(await ask(), 200)
    const closed = app.close()
    assert.equal(await ask(), 503)
    await closed
    agent.destroy()
  })
})
