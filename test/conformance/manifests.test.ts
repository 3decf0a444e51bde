import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codesOf, digestOf, makeImage, pathOf, types, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'manifests/app'
const image = await makeImage(registry, repository)
const text = JSON.stringify(image, undefined, 3)
const digest = digestOf(text)
const path = (reference: string) => `/v2/${repository}/manifests/${reference}`
await registry.putManifest(repository, 'v1', text, { type: types.image })

/** An image no other test has pushed. */
const another = () => makeImage(registry, repository)

describe('GET and HEAD of a manifest (end-3)', () => {
  for (const reference of ['v1', digest]) {
    it(`gives the bytes that were pushed: ${reference.slice(0, 6)}`, async () => {
      const [get, head] = [await registry.call('GET', path(reference)), await registry.call('HEAD', path(reference))]
      for (const reply of [get, head]) {
        assert.equal(reply.status, 200)
        assert.equal(reply.headers['content-type'], types.image)
        assert.equal(reply.headers['content-length'], String(text.length))
        assert.equal(reply.headers['docker-content-digest'], digest)
        assert.equal(reply.headers.etag, `"${digest}"`)
      }
      assert.equal(get.body.toString(), text)
      assert.equal(head.body.length, 0)
    })
  }

  it('lets no cache answer for a tag without asking', async () => {
    assert.equal((await registry.call('GET', path('v1'))).headers['cache-control'], 'no-cache')
  })

  for (const accept of [undefined, '*/*', 'text/html', types.dockerImage, [types.index, types.image]]) {
    it(`ignores Accept: ${String(accept)}`, async () => {
      const reply = await registry.call('GET', path('v1'), accept ? { headers: { Accept: accept } } : {})
      assert.equal(reply.status, 200)
      assert.equal(reply.headers['content-type'], types.image)
    })
  }

  for (const tag of [`"${digest}"`, digest, `W/"${digest}"`, '*', `"other", "${digest}"`]) {
    it(`answers 304 to If-None-Match ${tag.slice(0, 14)}`, async () => {
      for (const method of ['GET', 'HEAD']) {
        const reply = await registry.call(method, path('v1'), { headers: { 'If-None-Match': tag } })
        assert.equal(reply.status, 304)
        assert.equal(reply.headers.etag, `"${digest}"`)
        assert.equal(reply.headers['docker-content-digest'], digest)
        assert.equal(reply.body.length, 0)
      }
    })
  }

  for (const [reference, status] of [
    ['none', 404],
    [`sha256:${'0'.repeat(64)}`, 404],
    ['-bad-tag', 404], // no such tag can exist
    ['x'.repeat(129), 404],
    ['sha256:baddigeststring', 400],
    [`sha384:${'0'.repeat(96)}`, 400],
    [`sha256:${'A'.repeat(64)}`, 400],
  ] as const) {
    it(`answers ${status} for ${reference.slice(0, 24)}`, async () => {
      for (const method of ['GET', 'HEAD']) {
        const reply = await registry.call(method, path(reference))
        assert.equal(reply.status, status)
        if (method === 'GET') assert.deepEqual(codesOf(reply), [status === 404 ? 'MANIFEST_UNKNOWN' : 'DIGEST_INVALID'])
      }
    })
  }

  it('is fresh right after each push to a tag', async () => {
    for (let i = 0; i < 5; i++) {
      const next = await another()
      await registry.putManifest(repository, 'moving', next)
      const head = await registry.call('HEAD', path('moving'))
      assert.equal(head.headers['docker-content-digest'], digestOf(JSON.stringify(next)))
    }
  })
})

describe('PUT of a manifest (end-7a)', () => {
  it('answers with where it can be pulled', async () => {
    for (const byDigest of [false, true]) {
      const next = await another()
      const own = digestOf(JSON.stringify(next))
      const reply = await registry.putManifest(repository, byDigest ? own : 'v2', next)
      assert.equal(reply.status, 201)
      assert.equal(pathOf(reply), path(own))
      assert.equal(reply.headers['docker-content-digest'], own)
      assert.equal(reply.headers['oci-subject'], undefined)
      assert.equal((await registry.call('GET', pathOf(reply))).body.toString(), JSON.stringify(next))
    }
  })

  it('keeps the manifest a tag pointed to before', async () => {
    const [old, next] = [await another(), await another()]
    await registry.putManifest(repository, 'replaced', old)
    await registry.putManifest(repository, 'replaced', next)
    assert.equal((await registry.call('GET', path(digestOf(JSON.stringify(old))))).status, 200)
  })

  it('may be repeated', async () => {
    for (let i = 0; i < 3; i++)
      assert.equal((await registry.putManifest(repository, 'v1', text, { type: types.image })).status, 201)
  })

  it('ignores parameters of the Content-Type and serves it without them', async () => {
    const reply = await registry.putManifest(repository, 'charset', await another(), {
      type: `${types.image}; charset=utf-8`,
    })
    assert.equal(reply.status, 201)
    assert.equal((await registry.call('GET', path('charset'))).headers['content-type'], types.image)
  })

  for (const [what, document] of [
    ['an image', { config: { mediaType: types.config, digest: image.config.digest, size: 2 } }],
    ['an index', { mediaType: types.index, manifests: [] }],
  ] as const) {
    it(`answers OCI-Subject for ${what} with a subject`, async () => {
      const subject = { mediaType: types.image, digest: digestOf(`subject of ${what}`), size: 7 }
      const reply = await registry.putManifest(repository, 'subject', {
        schemaVersion: 2,
        mediaType: types.image,
        ...document,
        subject,
      })
      assert.equal(reply.status, 201)
      assert.equal(reply.headers['oci-subject'], subject.digest)
    })
  }

  for (const reference of [
    'sha256:baddigeststring',
    digestOf('another manifest'),
    digestOf('x', 'sha512'),
    'sha384:aa',
  ]) {
    it(`by the wrong digest ${reference.slice(0, 14)} is refused`, async () => {
      const reply = await registry.putManifest(repository, reference, image)
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['DIGEST_INVALID'])
    })
  }

  for (const tag of ['-v1', '.v1', 'v 1'.replace(' ', '%20'), 'x'.repeat(129), 'ä', 'a%2Fb', '~']) {
    it(`by the bad tag ${tag.slice(0, 8)} is refused`, async () => {
      const reply = await registry.putManifest(repository, encodeURI(decodeURI(tag)), image)
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['TAG_INVALID'])
    })
  }

  for (const tag of ['latest', '_', '1.0.0_x', 'x'.repeat(128), 'A-b.C_d', 'sha256-abc.sig', '__proto__']) {
    it(`by the good tag ${tag.slice(0, 16)} is taken`, async () => {
      assert.equal((await registry.putManifest(repository, tag, image)).status, 201)
      assert.equal((await registry.call('GET', path(tag))).status, 200)
    })
  }

  it('of almost 4 MiB is taken, and served whole', async () => {
    const large = { ...image, annotations: { filler: 'x'.repeat((4 << 20) - JSON.stringify(image).length - 100) } }
    assert.equal((await registry.putManifest(repository, 'large', large)).status, 201)
    const reply = await registry.call('GET', path('large'))
    assert.equal(reply.headers['docker-content-digest'], digestOf(reply.body))
    assert.equal(reply.body.length, JSON.stringify(large).length)
  })
})

describe('a manifest under its sha512', () => {
  it('is pushed and pulled by it', async () => {
    const next = await another()
    const long = digestOf(JSON.stringify(next), 'sha512')
    const put = await registry.putManifest(repository, long, next)
    assert.equal(put.status, 201)
    assert.equal(put.headers['docker-content-digest'], long)
    const get = await registry.call('GET', path(long))
    assert.equal(get.headers['docker-content-digest'], long)
    assert.equal(get.body.toString(), JSON.stringify(next))
  })

  it('is named by ?digest= beside a tag, and verified', async () => {
    const next = await another()
    const long = digestOf(JSON.stringify(next), 'sha512')
    const put = await registry.putManifest(repository, `long?digest=${long}`, next)
    assert.equal(put.status, 201)
    assert.equal((await registry.call('GET', path('long'))).headers['docker-content-digest'], long)
    const wrong = await registry.putManifest(repository, `long?digest=${digestOf('x', 'sha512')}`, next)
    assert.deepEqual([wrong.status, codesOf(wrong)], [400, ['DIGEST_INVALID']])
  })

  it('may refer to content by sha512', async () => {
    const layer = await registry.pushBlob(repository, 'a layer by sha512', 'sha512')
    const layers = [{ mediaType: types.layer, digest: layer, size: 17 }]
    assert.equal((await registry.putManifest(repository, 'by512', { ...image, layers })).status, 201)
  })
})
