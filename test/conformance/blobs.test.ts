import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { codesOf, digestOf, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'blobs/app'
const content = randomBytes(2048)
const digest = await registry.pushBlob(repository, content)
const blob = `/v2/${repository}/blobs/${digest}`

describe('GET and HEAD of a blob (end-2)', () => {
  for (const method of ['GET', 'HEAD']) {
    it(`${method} tells what it is and that it never changes`, async () => {
      const reply = await registry.call(method, blob)
      assert.equal(reply.status, 200)
      assert.equal(reply.headers['content-length'], '2048')
      assert.equal(reply.headers['content-type'], 'application/octet-stream')
      assert.equal(reply.headers['docker-content-digest'], digest)
      assert.equal(reply.headers.etag, `"${digest}"`)
      assert.equal(reply.headers['accept-ranges'], 'bytes')
      assert.equal(reply.headers['cache-control'], 'max-age=31536000')
      assert.deepEqual(reply.body, method === 'GET' ? content : Buffer.alloc(0))
    })

    it(`${method} answers 404 for a blob another repository holds`, async () => {
      const reply = await registry.call(method, `/v2/blobs/other/blobs/${digest}`)
      assert.equal(reply.status, 404)
      if (method === 'GET') assert.deepEqual(codesOf(reply), ['BLOB_UNKNOWN'])
    })
  }

  for (const bad of [
    'sha256',
    'sha256:',
    'sha256:abc',
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'g'.repeat(64)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha384:${'a'.repeat(96)}`,
    `sha1:${'a'.repeat(40)}`,
    `md5:${'a'.repeat(32)}`,
    `SHA256:${'a'.repeat(64)}`,
    `sha512:${'a'.repeat(64)}`,
  ]) {
    it(`answers 400 for the digest ${bad.slice(0, 16)} of ${bad.length} characters`, async () => {
      const reply = await registry.call('GET', `/v2/${repository}/blobs/${bad}`)
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['DIGEST_INVALID'])
    })
  }

  for (const tag of [`"${digest}"`, digest, `W/"${digest}"`, '*', `"x", "${digest}"`]) {
    it(`answers 304 to If-None-Match ${tag.slice(0, 14)}`, async () => {
      for (const method of ['GET', 'HEAD']) {
        const reply = await registry.call(method, blob, { headers: { 'If-None-Match': tag } })
        assert.equal(reply.status, 304)
        assert.equal(reply.headers.etag, `"${digest}"`)
        assert.equal(reply.body.length, 0)
      }
    })
  }

  it('answers 200 to If-None-Match of something else, and 404 where there is nothing', async () => {
    const headers = { 'If-None-Match': '"sha256:other"' }
    assert.equal((await registry.call('GET', blob, { headers })).status, 200)
    const none = await registry.call('GET', `/v2/blobs/other/blobs/${digest}`, { headers: { 'If-None-Match': '*' } })
    assert.equal(none.status, 404)
  })
})

describe('a range of a blob', () => {
  for (const [range, first, last] of [
    ['bytes=0-0', 0, 0],
    ['bytes=500-1499', 500, 1499],
    ['bytes=500-', 500, 2047],
    ['bytes=-500', 1548, 2047],
    ['bytes=2000-5000', 2000, 2047],
    ['bytes=0-', 0, 2047],
    ['bytes=-5000', 0, 2047],
    ['bytes=2047-2047', 2047, 2047],
    ['bytes=0-18446744073709551615', 0, 2047],
  ] as const) {
    it(`${range} is the part from ${first} to ${last}`, async () => {
      const reply = await registry.call('GET', blob, { headers: { Range: range } })
      assert.equal(reply.status, 206)
      assert.equal(reply.headers['content-range'], `bytes ${first}-${last}/2048`)
      assert.equal(reply.headers['content-length'], String(last - first + 1))
      assert.equal(reply.headers['docker-content-digest'], digest)
      assert.deepEqual(reply.body, content.subarray(first, last + 1))
    })
  }

  for (const range of ['bytes=5000-10000', 'bytes=2048-', 'bytes=500-0', 'bytes=-0', 'bytes=99999999999999999999-']) {
    it(`${range} cannot be satisfied`, async () => {
      const reply = await registry.call('GET', blob, { headers: { Range: range } })
      assert.equal(reply.status, 416)
      assert.equal(reply.headers['content-range'], 'bytes */2048')
      assert.deepEqual(codesOf(reply), ['RANGE_INVALID'])
    })
  }

  for (const range of ['items=0-5', 'bytes=abc', 'bytes=', 'bytes=0x0-0x5', 'bytes=--5']) {
    it(`${range} is no range and is ignored`, async () => {
      const reply = await registry.call('GET', blob, { headers: { Range: range } })
      assert.equal(reply.status, 200)
      assert.deepEqual(reply.body, content)
    })
  }

  it('of several parts gives the whole, also when the header is several kB long', async () => {
    const parts = Array.from({ length: 1000 }, (_, i) => `${i * 2}-${i * 2}`)
    for (const range of ['0-0,2-3', parts.join(',')]) {
      const reply = await registry.call('GET', blob, { headers: { Range: `bytes=${range}` } })
      assert.equal(reply.status, 200)
      assert.deepEqual(reply.body, content)
    }
  })

  for (const [what, tag, status] of [
    ['goes on while the blob is the same', `"${digest}"`, 206],
    ['starts over when it is another', '"sha256:other"', 200],
    ['starts over for a weak tag', `W/"${digest}"`, 200],
  ] as const) {
    it(`with If-Range ${what}`, async () => {
      const reply = await registry.call('GET', blob, { headers: { Range: 'bytes=1-2', 'If-Range': tag } })
      assert.equal(reply.status, status)
    })
  }

  it('of a blob nobody has is a 404', async () => {
    const none = `/v2/${repository}/blobs/${digestOf('none')}`
    assert.equal((await registry.call('GET', none, { headers: { Range: 'bytes=0-1' } })).status, 404)
  })
})

describe('the empty blob', () => {
  it('is pushed and pulled like any other', async () => {
    const empty = digestOf('')
    const upload = await registry.startUpload('blobs/empty')
    const end = await registry.call('PUT', `${upload}&digest=${empty}`)
    assert.equal(end.status, 201)
    const path = `/v2/blobs/empty/blobs/${empty}`
    const [get, head] = [await registry.call('GET', path), await registry.call('HEAD', path)]
    assert.deepEqual([get.status, get.headers['content-length'], get.body.length], [200, '0', 0])
    assert.deepEqual([head.status, head.headers['content-length']], [200, '0'])
    const range = await registry.call('GET', path, { headers: { Range: 'bytes=0-' } })
    assert.equal(range.status, 416)
    assert.equal(range.headers['content-range'], 'bytes */0')
  })

  it('is pushed in a single request', async () => {
    const reply = await registry.call('POST', `/v2/blobs/empty2/blobs/uploads/?digest=${digestOf('')}`)
    assert.equal(reply.status, 201)
  })
})

describe('a blob under its sha512', () => {
  it('is pushed, pulled and answered with the digest that was asked for', async () => {
    const long = await registry.pushBlob(repository, content, 'sha512')
    for (const name of [long, digest]) {
      const reply = await registry.call('GET', `/v2/${repository}/blobs/${name}`)
      assert.equal(reply.headers['docker-content-digest'], name)
      assert.deepEqual(reply.body, content)
    }
  })
})

describe('DELETE of a blob (end-10)', () => {
  it('takes it out of this repository only', async () => {
    const kept = await registry.pushBlob('blobs/kept', 'shared')
    await registry.pushBlob('blobs/gone', 'shared')
    assert.equal((await registry.call('DELETE', `/v2/blobs/gone/blobs/${kept}`)).status, 202)
    assert.equal((await registry.call('HEAD', `/v2/blobs/gone/blobs/${kept}`)).status, 404)
    assert.equal((await registry.call('GET', `/v2/blobs/kept/blobs/${kept}`)).body.toString(), 'shared')
  })

  it('answers 404 the second time, 400 to a bad digest', async () => {
    const gone = await registry.pushBlob('blobs/twice', 'twice')
    assert.equal((await registry.call('DELETE', `/v2/blobs/twice/blobs/${gone}`)).status, 202)
    const again = await registry.call('DELETE', `/v2/blobs/twice/blobs/${gone}`)
    assert.equal(again.status, 404)
    assert.deepEqual(codesOf(again), ['BLOB_UNKNOWN'])
    assert.equal((await registry.call('DELETE', '/v2/blobs/twice/blobs/sha256:x')).status, 400)
  })

  it('lets the blob be pushed again', async () => {
    const again = await registry.pushBlob('blobs/again', 'again')
    await registry.call('DELETE', `/v2/blobs/again/blobs/${again}`)
    await registry.pushBlob('blobs/again', 'again')
    assert.equal((await registry.call('GET', `/v2/blobs/again/blobs/${again}`)).body.toString(), 'again')
  })
})
