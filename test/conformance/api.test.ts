import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codesOf, makeImage, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const absent = `sha256:${'0'.repeat(64)}`

describe('GET /v2/ (end-1)', () => {
  for (const path of ['/v2/', '/v2']) {
    it(`answers ${path} with an empty JSON object and no redirect`, async () => {
      const reply = await registry.call('GET', path)
      assert.equal(reply.status, 200)
      assert.equal(reply.headers['content-type'], 'application/json')
      assert.equal(reply.headers['content-length'], '2')
      assert.equal(reply.body.toString(), '{}')
    })
  }

  it('answers HEAD with the same headers and no body', async () => {
    const reply = await registry.call('HEAD', '/v2/')
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['content-length'], '2')
    assert.equal(reply.body.length, 0)
  })

  it('never claims to support the signatures extension', async () => {
    const reply = await registry.call('GET', '/v2/')
    assert.equal(reply.headers['x-registry-supports-signatures'], undefined)
  })

  it('answers a balancer that probes /', async () => {
    assert.equal((await registry.call('GET', '/')).status, 200)
    assert.equal((await registry.call('HEAD', '/')).status, 200)
  })
})

describe('every answer', () => {
  for (const [what, method, path, status] of [
    ['a success', 'GET', '/v2/', 200],
    ['an upload that was started', 'POST', '/v2/a/b/blobs/uploads/', 202],
    ['a bad name', 'GET', '/v2/UPPER/tags/list', 400],
    ['an unknown manifest', 'GET', '/v2/a/b/manifests/none', 404],
    ['a method that is not supported', 'PATCH', '/v2/a/b/manifests/v1', 405],
    ['an unknown path', 'GET', '/v2/a/b/nothing', 404],
  ] as const) {
    it(`names the API version and forbids sniffing: ${what}`, async () => {
      const reply = await registry.call(method, path)
      assert.equal(reply.status, status)
      assert.equal(reply.headers['docker-distribution-api-version'], 'registry/2.0')
      assert.equal(reply.headers['x-content-type-options'], 'nosniff')
      assert.ok(Math.abs(Date.parse(reply.headers.date ?? '') - Date.now()) < 10_000, 'Date is now')
      assert.equal(reply.headers['set-cookie'], undefined)
    })
  }

  it('is not encoded, whatever the client accepts', async () => {
    const image = await makeImage(registry, 'api/plain')
    await registry.putManifest('api/plain', 'v1', image)
    for (const path of ['manifests/v1', `blobs/${image.layers[0]!.digest}`]) {
      const headers = { 'Accept-Encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5' }
      const reply = await registry.call('GET', `/v2/api/plain/${path}`, { headers })
      assert.equal(reply.status, 200)
      assert.equal(reply.headers['content-encoding'], undefined)
      assert.equal(reply.headers['transfer-encoding'], undefined)
      assert.equal(reply.headers['content-length'], String(reply.body.length))
    }
  })
})

describe('an error', () => {
  for (const [code, status, method, path] of [
    ['BLOB_UNKNOWN', 404, 'GET', `/v2/a/b/blobs/${absent}`],
    ['BLOB_UPLOAD_UNKNOWN', 404, 'GET', '/v2/a/b/blobs/uploads/unknown'],
    ['DIGEST_INVALID', 400, 'GET', '/v2/a/b/blobs/sha256:short'],
    ['DIGEST_INVALID', 400, 'GET', '/v2/a/b/manifests/sha256:short'],
    ['MANIFEST_INVALID', 400, 'PUT', '/v2/a/b/manifests/v1'],
    ['MANIFEST_UNKNOWN', 404, 'GET', '/v2/a/b/manifests/v1'],
    ['MANIFEST_UNKNOWN', 404, 'GET', `/v2/a/b/manifests/${absent}`],
    ['NAME_INVALID', 400, 'GET', '/v2/A/manifests/v1'],
    ['NAME_UNKNOWN', 404, 'GET', '/v2/never/seen/tags/list'],
    ['UNSUPPORTED', 405, 'POST', '/v2/a/b/manifests/v1'],
    ['UNSUPPORTED', 405, 'PUT', `/v2/a/b/blobs/${absent}`],
    ['TAG_INVALID', 400, 'PUT', '/v2/a/b/manifests/-v1'],
    ['PAGINATION_NUMBER_INVALID', 400, 'GET', '/v2/_catalog?n=x'],
  ] as const) {
    it(`${code} has status ${status} and the specified body: ${method} ${path.slice(0, 40)}`, async () => {
      const reply = await registry.call(method, path)
      assert.equal(reply.status, status)
      assert.equal(reply.headers['content-type'], 'application/json')
      const { errors } = JSON.parse(reply.body.toString()) as { errors: Record<string, unknown>[] }
      assert.equal(errors.length, 1)
      assert.equal(errors[0]!.code, code)
      assert.equal(typeof errors[0]!.message, 'string')
      assert.match(String(errors[0]!.code), /^[A-Z_]+$/)
    })
  }

  it('has no body in the answer to HEAD', async () => {
    const reply = await registry.call('HEAD', `/v2/a/b/blobs/${absent}`)
    assert.equal(reply.status, 404)
    assert.equal(reply.body.length, 0)
  })

  it('about a method names those that are supported', async () => {
    const reply = await registry.call('PATCH', '/v2/a/b/manifests/v1')
    const allowed = reply.headers.allow?.split(', ').toSorted()
    assert.deepEqual(allowed, ['DELETE', 'GET', 'HEAD', 'PUT'])
  })

  it('tells the same whether a repository or only its manifest is missing', async () => {
    await registry.putManifest('api/there', 'v1', await makeImage(registry, 'api/there'))
    const [here, nowhere] = await Promise.all([
      registry.call('GET', '/v2/api/there/manifests/v2'),
      registry.call('GET', '/v2/api/nowhere/manifests/v2'),
    ])
    assert.deepEqual(here.body, nowhere.body)
  })
})

describe('a path', () => {
  for (const name of [
    'tags',
    'blobs',
    'manifests',
    'uploads',
    'referrers',
    'a/tags/list',
    'a/manifests/b',
    'a/blobs/uploads',
    'v2/v2',
    'a.b_c__d-e---f/0',
    'x'.repeat(255),
    `${'ab/'.repeat(84)}abc`,
  ]) {
    it(`may name a repository ${name.slice(0, 30)}`, async () => {
      const image = await makeImage(registry, name)
      assert.equal((await registry.putManifest(name, 'tags', image)).status, 201)
      assert.equal((await registry.call('GET', `/v2/${name}/manifests/tags`)).status, 200)
      const list = await registry.call('GET', `/v2/${name}/tags/list`)
      assert.deepEqual(JSON.parse(list.body.toString()), { name, tags: ['tags'] })
      assert.equal((await registry.call('GET', `/v2/${name}/referrers/${absent}`)).status, 200)
      assert.equal((await registry.call('GET', `/v2/${name}/blobs/${image.config.digest}`)).status, 200)
    })
  }

  for (const [what, name] of [
    ['upper case', 'Team/app'],
    ['a leading separator', '-a'],
    ['a trailing separator', 'a-'],
    ['two dots', 'a..b'],
    ['three underscores', 'a___b'],
    ['a component that starts with an underscore', '_a'],
    ['an encoded slash', 'a%2Fb'],
    ['a parent folder', 'a/../b'],
    ['256 characters', 'x'.repeat(256)],
    ['64 hex digits, which clients take for an image', 'ab'.repeat(32)],
  ] as const) {
    it(`may not name a repository with ${what}`, async () => {
      const reply = await registry.call('POST', `/v2/${name}/blobs/uploads/`)
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['NAME_INVALID'])
    })
  }

  it('may hold the colon of a digest encoded', async () => {
    const digest = await registry.pushBlob('api/colon', 'x')
    for (const spelling of ['%3A', '%3a']) {
      const reply = await registry.call('GET', `/v2/api/colon/blobs/${digest.replace(':', spelling)}`)
      assert.equal(reply.status, 200)
    }
  })

  for (const path of ['//v2/', '/v2//', '/V2/', '/v2/a//tags/list', '/v1/', '/v2/a/b', '/v2/a/tags/list/']) {
    it(`that is spelled otherwise leads nowhere: ${path}`, async () => {
      const reply = await registry.call('GET', path)
      assert.ok([400, 404].includes(reply.status), String(reply.status))
      assert.equal(reply.headers.location, undefined)
    })
  }

  it('is not changed by a namespace a mirror client adds', async () => {
    const digest = await registry.pushBlob('api/mirror', 'x')
    const reply = await registry.call('GET', `/v2/api/mirror/blobs/${digest}?ns=upstream.example`)
    assert.equal(reply.status, 200)
  })

  it('lists the extensions there are', async () => {
    const reply = await registry.call('GET', '/v2/_oci/ext/discover')
    assert.equal(reply.status, 200)
    const { extensions } = JSON.parse(reply.body.toString()) as { extensions: Record<string, unknown>[] }
    for (const extension of extensions) {
      assert.ok(extension.name && extension.url)
      assert.ok(Array.isArray(extension.endpoints))
    }
  })
})
