import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { azureDriver, azureEnv, azureFor, startAzure } from '../support/azure.ts'
import { call, digestOf, pathOf } from '../support/client.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { inventoryOf } from '../support/inventory.ts'
import { startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { pushIndex, pushText, remove } from '../support/push.ts'
import { pushImage, startRegistry } from '../support/registry.ts'
import { ignore, readAll, streamOf, useNodes } from './tools.ts'

const MiB = 1 << 20
const upload = 'holdfast/uploads/an-id'
const blob = 'docker/registry/v2/blobs/sha256/ab/abc/data'

describe('a registry with its blobs in Azure', { skip: need('azurite-blob') }, async () => {
  const server = await startAzure()
  const makeContainer = async () => {
    const container = randomUUID()
    await server.makeContainer(container)
    return container
  }

  it('goes on at another node, and copies nothing when the digest is known from the start', async () => {
    const proxy = await startFaultProxy(server.url)
    const store = azureFor(`${proxy.url}/devstoreaccount1`, await makeContainer())
    const nodes = await useNodes(2, store)
    const bytes = randomBytes(13 * MiB)
    const cuts = [0, 6 * MiB, 7 * MiB, bytes.length]
    for (let i = 1; i < cuts.length; i++)
      await nodes[i % 2]!.driver.append(upload, cuts[i - 1]!, streamOf(bytes.subarray(cuts[i - 1], cuts[i])), ignore)
    assert.ok((await readAll(nodes[0]!.driver, upload))?.equals(bytes))
    await nodes[0]!.driver.publish(upload, blob)
    assert.ok((await readAll(nodes[1]!.driver, blob))?.equals(bytes))
    proxy.seen.length = 0
    await nodes[0]!.driver.append(upload, 0, streamOf(bytes), ignore, `${blob}2`)
    assert.equal(await nodes[0]!.driver.stat(`${blob}2`), undefined)
    await nodes[0]!.driver.publish(upload, `${blob}2`)
    assert.ok((await readAll(nodes[1]!.driver, `${blob}2`))?.equals(bytes))
    assert.ok(!proxy.seen.some(({ headers }) => 'x-ms-copy-source' in headers))
    const names = []
    for await (const { key } of store.list('')) names.push(key)
    assert.deepEqual(names, [blob, `${blob}2`])
  })

  it('goes on with what was acknowledged after it was killed', { timeout: 60_000 }, async () => {
    const env = azureEnv(server.url, await makeContainer())
    const first = await startRegistry({ env })
    const bytes = randomBytes(11 * MiB)
    const begun = pathOf(await call(first.url, 'POST', '/v2/app/blobs/uploads/'))
    const answer = await call(first.url, 'PATCH', begun, { body: bytes.subarray(0, 9 * MiB) })
    assert.equal(answer.status, 202, String(answer.body))
    await first.stop('SIGKILL')
    const second = await startRegistry({ data: first.data, env })
    after(() => second.dispose())
    const digest = digestOf(bytes)
    const target = `${pathOf(answer)}&digest=${digest}`
    assert.equal((await call(second.url, 'PUT', target, { body: bytes.subarray(9 * MiB) })).status, 201)
    assert.ok((await call(second.url, 'GET', `/v2/app/blobs/${digest}`)).body.equals(bytes))
  })

  it('sends clients to the store by a signed URL', async () => {
    const registry = await startRegistry({ env: azureEnv(server.url, await makeContainer(), { redirect: true }) })
    after(() => registry.dispose())
    const bytes = randomBytes(100_000)
    await pushImage(registry.url, 'app', 'v1', [bytes])
    const sent = await call(registry.url, 'GET', `/v2/app/blobs/${digestOf(bytes)}`)
    assert.equal(sent.status, 307)
    const target = new URL(sent.headers.location!)
    assert.ok(Buffer.from(await (await fetch(target)).arrayBuffer()).equals(bytes))
    assert.equal((await fetch(target, { method: 'DELETE' })).status, 403)
    target.searchParams.set('sig', 'AAAA')
    assert.equal((await fetch(target)).status, 403)
  })

  it('answers 503 while the store is away, and recovers by itself', { timeout: 60_000 }, async () => {
    const proxy = await startFaultProxy(server.url)
    const more = ', max_retries: 1, retry_delay: 10ms'
    const env = azureEnv(`${proxy.url}/devstoreaccount1`, await makeContainer(), { more })
    const registry = await startRegistry({ env })
    after(() => registry.dispose())
    const body = randomBytes(1000)
    const path = `/v2/app/blobs/uploads/?digest=${digestOf(body)}`
    proxy.fault = () => ({ status: 500 })
    assert.equal((await call(registry.url, 'POST', path, { body })).status, 503)
    proxy.fault = () => undefined
    assert.equal((await call(registry.url, 'POST', path, { body })).status, 201)
  })

  it("signs in by Azure's library: as the machine's account, asked for once", async () => {
    let asked = 0
    const identity = createServer((_message, response) => {
      asked++
      const expires_on = Math.round(Date.now() / 1000) + 3600
      response.writeHead(200, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify({ access_token: 'a-token', token_type: 'Bearer', expires_on, resource: 'storage' }))
    }).listen(0, '127.0.0.1')
    await once(identity, 'listening')
    after(() => identity.close())
    process.env.IDENTITY_ENDPOINT = `http://127.0.0.1:${(identity.address() as AddressInfo).port}/token`
    process.env.IDENTITY_HEADER = 'x'
    const proxy = await startFaultProxy(server.url)
    const store = azureFor(`${proxy.url}/devstoreaccount1`, await makeContainer(), { credentials: { kind: 'default' } })
    await assert.rejects(store.put(blob, [Buffer.from('x')]), { code: 'EAGAIN' }) // the emulator takes tokens over TLS only
    await assert.rejects(store.head(blob), { code: 'EAGAIN' })
    assert.equal(asked, 1)
    assert.ok(proxy.seen.length > 1 && proxy.seen.every(({ headers }) => headers.authorization === 'Bearer a-token'))
  })

  it('finds the blobs of registry:2, whose names begin with a slash', async () => {
    const container = await makeContainer()
    await azureFor(server.url, container, { prefix: '/' }).put(blob, [Buffer.from('old')])
    const store = azureFor(server.url, container)
    assert.equal((await store.head(blob))?.size, 3)
    await store.put(`${blob}2`, [Buffer.from('new')])
    assert.equal((await azureFor(server.url, container, { prefix: '/' }).head(`${blob}2`))?.size, 3)
  })

  it('goes from registry:3 to Holdfast and back', { timeout: 60_000, skip: need('registry') }, async () => {
    const container = await makeContainer()
    const data = await mkdtemp(join(tmpdir(), 'holdfast-container-'))
    const where = { driver: azureDriver(server.url, container, ', credentials: {type: shared_key}') }
    const env = azureEnv(server.url, container)
    try {
      const first = await startOther('registry', where)
      for (const tag of ['v1', 'v2']) await pushText(first.url, 'team/app', tag, tag)
      await pushIndex(first.url, 'multi', 'latest', 'multi')
      const before = await inventoryOf(first.url)
      await first.stop()
      const holdfast = await startRegistry({ data, env })
      assert.deepEqual(await inventoryOf(holdfast.url), before)
      await pushText(holdfast.url, 'team/app', 'v3', 'v3')
      await pushText(holdfast.url, 'team/app', 'v2', 'moved')
      await remove(holdfast.url, 'team/app', before['team/app']!.v1!)
      const during = await inventoryOf(holdfast.url)
      assert.equal(await holdfast.stop(), 0)
      const second = await startOther('registry', where)
      assert.deepEqual(await inventoryOf(second.url), during)
      await pushText(second.url, 'team/app', 'v2', 'moved again')
      const later = await inventoryOf(second.url)
      await second.stop()
      const again = await startRegistry({ data, env })
      assert.deepEqual(await inventoryOf(again.url), later)
      await again.stop()
    } finally {
      await rm(data, { recursive: true })
    }
  })

  for (const [name, change, message] of [
    ['a wrong key', ['accountkey: "E', 'accountkey: "F'], /does not take the credentials: check storage\.azure/],
    ['no container', ['container: ', 'container: no'], /there is no such container/],
    ['nobody there', [server.url, 'http://127.0.0.1:1/devstoreaccount1'], /check storage\.azure\.serviceurl or realm/],
  ] as const)
    it(`says in one line why it does not start: ${name}`, { timeout: 30_000 }, async () => {
      const storage = azureEnv(server.url, 'some-container', { more: ', max_retries: 1' }).REGISTRY_STORAGE!
      await server.makeContainer('some-container').catch(ignore)
      await assert.rejects(
        startRegistry({ env: { REGISTRY_STORAGE: storage.replace(change[0], change[1]) } }),
        (error: Error) => {
          const lines = error.message.replace('The server ended: ', '').trim().split('\n')
          assert.equal(lines.length, 1, error.message)
          assert.match(lines[0]!, message)
          return true
        },
      )
    })
})
