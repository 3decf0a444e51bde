import assert from 'node:assert/strict'
import { createHash, createVerify, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { signedPath } from '../../src/storage/object/gcs/signing.ts'
import { call, digestOf, pathOf } from '../support/client.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { gcsEnv, gcsFor, startGcs } from '../support/gcs.ts'
import { inventoryOf } from '../support/inventory.ts'
import { startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { pushIndex, pushText } from '../support/push.ts'
import { pushImage, startRegistry } from '../support/registry.ts'
import { ignore, readAll, streamOf, useNodes } from './tools.ts'

const MiB = 1 << 20
const upload = 'holdfast/uploads/an-id'
const blob = 'docker/registry/v2/blobs/sha256/ab/abc/data'
const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})

describe('a registry with its blobs in Google Cloud Storage', { skip: need('fake-gcs-server') }, async () => {
  const server = await startGcs()
  const makeBucket = async () => {
    const bucket = randomUUID()
    await server.makeBucket(bucket)
    return bucket
  }

  it('goes on at another node, puts many parts together and leaves nothing behind', async () => {
    const store = gcsFor(server.url, await makeBucket())
    const nodes = await useNodes(2, store, { partSize: MiB })
    const bytes = randomBytes(44 * MiB + 3)
    const cuts = [0, 1000, 35 * MiB, 36 * MiB, bytes.length]
    for (let i = 1; i < cuts.length; i++)
      await nodes[i % 2]!.driver.append(upload, cuts[i - 1]!, streamOf(bytes.subarray(cuts[i - 1], cuts[i])), ignore)
    await nodes[0]!.driver.publish(upload, blob)
    assert.ok((await readAll(nodes[1]!.driver, blob))?.equals(bytes))
    await nodes[0]!.driver.append(upload, 0, streamOf(bytes), ignore, `${blob}2`)
    await nodes[0]!.driver.publish(upload, `${blob}2`)
    assert.ok((await readAll(nodes[1]!.driver, `${blob}2`))?.equals(bytes))
    await nodes[0]!.driver.append(upload, 0, streamOf(bytes), ignore)
    await nodes[0]!.driver.delete(upload)
    const names = []
    for await (const { key } of store.list('')) names.push(key)
    assert.deepEqual(names, [blob, `${blob}2`])
  })

  it('loses an answer, or the store for a moment: what was done is not taken for undone', async () => {
    const proxy = await startFaultProxy(server.url)
    const store = gcsFor(proxy.url, await makeBucket(), { patience: { pauseMs: 5, attempts: 3 } })
    const [node] = await useNodes(1, store)
    const bytes = randomBytes(12 * MiB)
    for (const kind of [/uploadType/, /compose/, /rewriteTo/, /alt=media/] as const) {
      const path = `${blob}-${kind.source}`
      let count = 0
      proxy.fault = ({ url = '' }) => {
        if (!kind.test(url) || count++ > 1) return undefined
        return count === 1 ? { status: 503 } : { cutAfter: 1 }
      }
      await node!.driver.append(upload, 0, streamOf(bytes), ignore)
      await node!.driver.publish(upload, path)
      assert.ok((await readAll(node!.driver, path))?.equals(bytes), kind.source)
    }
    proxy.fault = () => 'refuse'
    await assert.rejects(readAll(node!.driver, blob), { code: 'EAGAIN' })
  })

  it('goes on with what was acknowledged after it was killed', { timeout: 60_000 }, async () => {
    const env = gcsEnv(server.url, await makeBucket())
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

  it("signs in by Google's library: as the machine's account, asked for once", async () => {
    let asked = 0
    const metadata = createServer((message, response) => {
      const isToken = message.url!.includes('/token')
      if (isToken) asked++
      const token = { access_token: 'a-token', token_type: 'Bearer', expires_in: 3600 }
      const type = isToken ? 'application/json' : 'application/text'
      response.writeHead(200, { 'Metadata-Flavor': 'Google', 'Content-Type': type })
      response.end(isToken ? JSON.stringify(token) : 'default/')
    }).listen(0, '127.0.0.1')
    await once(metadata, 'listening')
    after(() => metadata.close())
    process.env.GCE_METADATA_HOST = `127.0.0.1:${(metadata.address() as AddressInfo).port}`
    const proxy = await startFaultProxy(server.url)
    const store = gcsFor(proxy.url, await makeBucket(), { credentials: { kind: 'default' } })
    await store.put(blob, [Buffer.from('signed in')])
    assert.equal((await store.head(blob))?.size, 9)
    assert.equal(asked, 1)
    assert.ok(proxy.seen.every(({ headers }) => headers.authorization === 'Bearer a-token'))
  })

  it('sends clients to the store by a signed URL where it has a key, and else serves blobs itself', async () => {
    const bucket = await makeBucket()
    await gcsFor(server.url, bucket).put(blob, [Buffer.from('hello')])
    const key = { client_email: 'holdfast@test', private_key: privateKey }
    const url = await gcsFor(server.url, bucket, { credentials: { kind: 'key', key } }).signedUrl(blob)
    assert.match(url!, /X-Goog-Signature=/)
    assert.equal(await (await fetch(url!)).text(), 'hello')
    const registry = await startRegistry({ env: gcsEnv(server.url, bucket, { redirect: true }) })
    after(() => registry.dispose())
    const bytes = randomBytes(100_000)
    await pushImage(registry.url, 'app', 'v1', [bytes])
    assert.ok((await call(registry.url, 'GET', `/v2/app/blobs/${digestOf(bytes)}`)).body.equals(bytes))
  })

  it("signs URLs in Google's form", () => {
    const now = new Date('2020-02-02T02:02:02.123Z')
    const account = { client_email: 'a@b.test', private_key: privateKey }
    const path = signedPath(account, { host: 'storage.googleapis.com', bucket: 'b', name: 'x/y z', now })
    const [, query = '', signature = ''] = /^\/b\/x\/y%20z\?(.*)&X-Goog-Signature=([\da-f]+)$/.exec(path)!
    assert.equal(
      query,
      'X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%40b.test%2F20200202%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20200202T020202Z&X-Goog-Expires=1200&X-Goog-SignedHeaders=host',
    )
    const asked = `GET\n/b/x/y%20z\n${query}\nhost:storage.googleapis.com\n\nhost\nUNSIGNED-PAYLOAD`
    const hash = createHash('sha256').update(asked).digest('hex')
    const text = `GOOG4-RSA-SHA256\n20200202T020202Z\n20200202/auto/storage/goog4_request\n${hash}`
    assert.ok(createVerify('RSA-SHA256').update(text).verify(publicKey, signature, 'hex'))
  })

  it('takes over a tree of registry:2', { timeout: 60_000, skip: need('docker-registry') }, async () => {
    const bucket = await makeBucket()
    const tree = await mkdtemp(join(tmpdir(), 'holdfast-tree-'))
    after(() => rm(tree, { recursive: true }))
    const first = await startOther('docker-registry', tree)
    for (const tag of ['v1', 'v2']) await pushText(first.url, 'team/app', tag, tag)
    await pushIndex(first.url, 'multi', 'latest', 'multi')
    const before = await inventoryOf(first.url)
    await first.stop()
    const store = gcsFor(server.url, bucket, { prefix: 'below/' })
    for (const path of await readdir(tree, { recursive: true }))
      if ((await stat(join(tree, path))).isFile()) await store.put(path, [await readFile(join(tree, path))])
    const registry = await startRegistry({ env: gcsEnv(server.url, bucket, { more: ', rootdirectory: /below/' }) })
    after(() => registry.dispose())
    assert.deepEqual(await inventoryOf(registry.url), before)
    await pushText(registry.url, 'team/app', 'v3', 'v3')
    await registry.stop()
    const link = await store.get('docker/registry/v2/repositories/team/app/_manifests/tags/v3/current/link')
    assert.ok(link)
    link.body.destroy()
  })

  for (const [name, change, message] of [
    ['no bucket', ['bucket: there', 'bucket: elsewhere'], /there is no such bucket: make it/],
    ['nobody there', [server.url, 'http://127.0.0.1:1'], /check storage\.gcs, the network and the store/],
    [
      'no credentials',
      [`endpoint: "${server.url}"`, 'keyfile: /nowhere/key.json'],
      /no credentials, or they are not taken: check storage\.gcs\.keyfile/,
    ],
  ] as const)
    it(`says in one line why it does not start: ${name}`, { timeout: 30_000 }, async () => {
      const storage = gcsEnv(server.url, 'there').REGISTRY_STORAGE!
      const changed = storage.replace(change[0], change[1])
      await assert.rejects(startRegistry({ env: { REGISTRY_STORAGE: changed } }), (error: Error) => {
        const lines = error.message.replace('The server ended: ', '').trim().split('\n')
        assert.equal(lines.length, 1, error.message)
        assert.match(lines[0]!, message)
        return true
      })
    })
})
