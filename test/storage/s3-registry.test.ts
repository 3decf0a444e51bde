import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { call, codesOf, digestOf, pathOf } from '../support/client.ts'
import { pull } from '../support/inventory.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { need } from '../support/programs.ts'
import { pushImage, startRegistry } from '../support/registry.ts'
import { s3Env, startS3 } from '../support/s3.ts'

const MiB = 1 << 20

describe('a registry with its blobs in S3', { skip: need('versitygw') }, async () => {
  const server = await startS3()
  async function start({
    redirect = false,
    url = server.url,
    data = undefined as string | undefined,
    bucket = '',
  } = {}) {
    if (bucket === '') await server.makeBucket((bucket = randomUUID()))
    const registry = await startRegistry({ env: s3Env(url, bucket, { redirect }), ...(data !== undefined && { data }) })
    after(() => registry.dispose())
    return { ...registry, bucket }
  }

  it('goes on with what was acknowledged after it was killed', { timeout: 60_000 }, async () => {
    const first = await start()
    const bytes = randomBytes(19 * MiB)
    let path = pathOf(await call(first.url, 'POST', '/v2/app/blobs/uploads/'))
    for (const [from, to] of [
      [0, 9 * MiB],
      [9 * MiB, 10 * MiB],
    ] as const) {
      const headers = { 'Content-Range': `${from}-${to - 1}` }
      const answer = await call(first.url, 'PATCH', path, { headers, body: bytes.subarray(from, to) })
      assert.equal(answer.status, 202, String(answer.body))
      path = pathOf(answer)
    }
    await first.stop('SIGKILL')
    const second = await start({ data: first.data, bucket: first.bucket })
    const state = await call(second.url, 'GET', path)
    assert.deepEqual([state.status, state.headers.range], [204, `0-${10 * MiB - 1}`])
    const digest = digestOf(bytes)
    const end = await call(second.url, 'PUT', `${path}&digest=${digest}`, { body: bytes.subarray(10 * MiB) })
    assert.equal(end.status, 201, String(end.body))
    assert.ok((await call(second.url, 'GET', `/v2/app/blobs/${digest}`)).body.equals(bytes))
    assert.deepEqual(await readdir(join(server.folder, first.bucket)).then((names) => names.includes('docker')), true)
  })

  it('takes no wrong bytes, and tells a second writer where the upload stands', async () => {
    const { url } = await start()
    const path = pathOf(await call(url, 'POST', '/v2/app/blobs/uploads/'))
    assert.equal((await call(url, 'PATCH', path, { body: randomBytes(9 * MiB) })).status, 202)
    const wrong = await call(url, 'PUT', `${path}&digest=${digestOf('other')}`)
    assert.deepEqual([wrong.status, codesOf(wrong)], [400, ['DIGEST_INVALID']])
    assert.equal((await call(url, 'GET', path)).status, 404)
  })

  it('serves all of a blob and parts of it', async () => {
    const { url } = await start()
    const bytes = randomBytes(9 * MiB)
    await pushImage(url, 'app', 'v1', [bytes])
    const path = `/v2/app/blobs/${digestOf(bytes)}`
    assert.ok((await call(url, 'GET', path)).body.equals(bytes))
    const part = await call(url, 'GET', path, { headers: { Range: 'bytes=1000000-8000000' } })
    assert.deepEqual([part.status, part.headers['content-range']], [206, `bytes 1000000-8000000/${bytes.length}`])
    assert.ok(part.body.equals(bytes.subarray(1_000_000, 8_000_001)))
    assert.equal((await call(url, 'HEAD', path)).headers['content-length'], String(bytes.length))
  })

  it('sends clients to the store when it is told to, and to no other place', async () => {
    const { url } = await start({ redirect: true })
    const bytes = randomBytes(300_000)
    await pushImage(url, 'app', 'v1', [bytes])
    const path = `/v2/app/blobs/${digestOf(bytes)}`
    const sent = await call(url, 'GET', path, { headers: { Authorization: 'Basic c2VjcmV0OnNlY3JldA==' } })
    assert.equal(sent.status, 307)
    assert.ok(sent.headers.location!.startsWith(`${server.url}/`))
    const target = new URL(sent.headers.location!)
    assert.equal(target.searchParams.get('X-Amz-Expires'), '1200')
    const fetched = await fetch(target)
    assert.ok(Buffer.from(await fetched.arrayBuffer()).equals(bytes))
    const part = await fetch(target, { headers: { Range: 'bytes=5-9' } })
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(5, 10)))
    assert.equal((await call(url, 'HEAD', path)).status, 200) // asked of the registry, as ever
    assert.equal((await call(url, 'GET', `/v2/other/blobs/${digestOf(bytes)}`)).status, 404)
    target.searchParams.set('X-Amz-Signature', '0'.repeat(64))
    assert.equal((await fetch(target)).status, 403)
  })

  it(
    'finds its keys in the environment, in a file, and at the endpoint of a container',
    { timeout: 60_000 },
    async () => {
      const bucket = randomUUID()
      await server.makeBucket(bucket)
      const whole = s3Env(server.url, bucket).REGISTRY_STORAGE!
      const [, accesskey, secretkey] = /accesskey: ([^,]+), secretkey: "([^"]+)"/.exec(whole)!
      const storage = whole.replace(/accesskey: [^,]+, secretkey: "[^"]+"/, 'secure: false')
      const keys = { AccessKeyId: accesskey, SecretAccessKey: secretkey, Token: '', Expiration: '2099-01-01T00:00:00Z' }
      const container = createServer((_message, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(keys))
      }).listen(0, '127.0.0.1')
      await once(container, 'listening')
      after(() => container.close())
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-aws-'))
      after(() => rm(folder, { recursive: true }))
      const file = join(folder, 'credentials')
      await writeFile(file, `[ours]\naws_access_key_id = ${accesskey}\naws_secret_access_key = ${secretkey}\n`)
      const { port } = container.address() as AddressInfo
      for (const env of [
        { AWS_ACCESS_KEY_ID: accesskey!, AWS_SECRET_ACCESS_KEY: secretkey! },
        { AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: 'ours' },
        { AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/keys` },
      ]) {
        const registry = await startRegistry({ env: { REGISTRY_STORAGE: storage, ...env } })
        await pushImage(registry.url, 'app', 'v1', [randomBytes(1000)])
        await pull(registry.url, 'app', 'v1')
        await registry.dispose() // a bucket has one database
      }
    },
  )

  it("never passes a client's credentials on", async () => {
    const proxy = await startFaultProxy(server.url)
    const { url } = await start({ url: proxy.url })
    const headers = { Authorization: 'Basic c2VjcmV0OnNlY3JldA==', Cookie: 'secret' }
    const body = randomBytes(1000)
    const digest = digestOf(body)
    const pushed = await call(url, 'POST', `/v2/app/blobs/uploads/?digest=${digest}`, { headers, body })
    assert.equal(pushed.status, 201)
    assert.equal((await call(url, 'GET', `/v2/app/blobs/${digest}`, { headers })).status, 200)
    assert.ok(proxy.seen.length > 2)
    for (const { headers: sent } of proxy.seen) {
      assert.match(sent.authorization!, /^AWS4-HMAC-SHA256 /)
      assert.equal(sent.cookie, undefined)
    }
  })

  it(
    'answers 503 with a time to come back while the store is away, and recovers by itself',
    { timeout: 60_000 },
    async () => {
      const proxy = await startFaultProxy(server.url)
      const registry = await start({ url: proxy.url })
      const { url } = registry
      const kept = randomBytes(1000)
      await pushImage(url, 'app', 'v1', [kept])
      proxy.fault = () => 'refuse'
      const body = randomBytes(200_000)
      const digest = digestOf(body)
      for (const answer of [
        await call(url, 'POST', `/v2/app/blobs/uploads/?digest=${digest}`, { body }),
        await call(url, 'GET', `/v2/app/blobs/${digestOf(kept)}`),
      ]) {
        assert.deepEqual([answer.status, codesOf(answer)], [503, ['UNAVAILABLE']])
        assert.match(answer.headers['retry-after']!, /^\d+$/)
        assert.doesNotMatch(String(answer.body), /127\.0\.0\.1|s3|ECONN/i)
      }
      assert.match(registry.errors(), /no answer from 127\.0\.0\.1:\d+/)
      proxy.fault = () => undefined
      assert.equal((await call(url, 'HEAD', `/v2/app/blobs/${digest}`)).status, 404, 'nothing is half published')
      assert.equal((await call(url, 'POST', `/v2/app/blobs/uploads/?digest=${digest}`, { body })).status, 201)
      await pull(url, 'app', 'v1')
    },
  )

  it('is unhealthy while the store fails', { timeout: 30_000 }, async () => {
    const proxy = await startFaultProxy(server.url)
    await server.makeBucket('health-of-it')
    const health = { REGISTRY_HEALTH_STORAGEDRIVER: '{enabled: true, interval: 100ms, threshold: 1}' }
    const registry = await startRegistry({ env: { ...s3Env(proxy.url, 'health-of-it'), ...health } })
    after(() => registry.dispose())
    const becomes = async (status: number) => {
      while ((await call(registry.url, 'GET', '/readyz')).status !== status)
        await new Promise((go) => setTimeout(go, 50))
    }
    await becomes(200)
    proxy.fault = () => ({ status: 503 })
    await becomes(503)
    proxy.fault = () => undefined
    await becomes(200)
    assert.match(registry.errors(), /check=storagedriver_s3/)
  })
})
