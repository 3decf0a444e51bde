import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codesOf, digestOf, makeImage, makeIndex, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'tags/app'
const image = await makeImage(registry, repository)
const path = (reference: string) => `/v2/${repository}/manifests/${reference}`

/** An image no other test has pushed. */
const another = () => makeImage(registry, repository)

describe('several tags in one push (end-7b)', () => {
  it('are all set, and named in the answer', async () => {
    const next = await another()
    const own = digestOf(JSON.stringify(next))
    const tags = Array.from({ length: 12 }, (_, i) => `many-${i}`)
    const reply = await registry.putManifest(repository, `${own}?tag=${tags.join('&tag=')}`, next)
    assert.equal(reply.status, 201)
    assert.deepEqual(reply.headers['oci-tag']?.split(/, */), tags)
    for (const tag of tags) assert.equal((await registry.call('HEAD', path(tag))).headers['docker-content-digest'], own)
  })

  it('are all refused when one is malformed', async () => {
    const next = await another()
    const own = digestOf(JSON.stringify(next))
    const reply = await registry.putManifest(repository, `${own}?tag=fine&tag=-bad`, next)
    assert.deepEqual([reply.status, codesOf(reply)], [400, ['TAG_INVALID']])
    assert.equal((await registry.call('HEAD', path('fine'))).status, 404)
    assert.equal((await registry.call('HEAD', path(own))).status, 404)
  })

  it('are refused with 414 when there are too many', async () => {
    const query = Array.from({ length: 1000 }, (_, i) => `tag=t${i}`).join('&')
    const own = digestOf(JSON.stringify(image))
    assert.equal((await registry.putManifest(repository, `${own}?${query}`, image)).status, 414)
  })
})

describe('a conditional push', () => {
  const put = (tag: string, headers: Record<string, string>, document: unknown = image) =>
    registry.putManifest(repository, tag, document, { headers })

  it('with If-None-Match: * happens only where there is no such tag', async () => {
    assert.equal((await put('once', { 'If-None-Match': '*' })).status, 201)
    const again = await put('once', { 'If-None-Match': '*' })
    assert.deepEqual([again.status, codesOf(again)], [412, ['PRECONDITION_FAILED']])
  })

  it('with If-Match happens only while the tag stands there', async () => {
    const [first, second] = [await another(), await another()]
    const tag = (document: unknown) => `"${digestOf(JSON.stringify(document))}"`
    await put('match', {}, first)
    assert.equal((await put('match', { 'If-Match': tag(second) }, second)).status, 412)
    assert.equal((await put('match', { 'If-Match': `"x", ${tag(first)}` }, second)).status, 201)
    assert.equal((await put('match', { 'If-Match': tag(first) }, first)).status, 412)
  })

  it('with If-Match: * happens only where there is a tag', async () => {
    assert.equal((await put('any', { 'If-Match': '*' })).status, 412)
    await put('any', {})
    assert.equal((await put('any', { 'If-Match': '*' })).status, 201)
  })

  it('with If-Match never takes a missing tag for one', async () => {
    for (const tag of ['"undefined"', '"null"', '""'])
      assert.equal((await put('missing', { 'If-Match': tag })).status, 412)
  })

  it('lets one of many win', async () => {
    const replies = await Promise.all(Array.from({ length: 10 }, () => put('race', { 'If-None-Match': '*' })))
    assert.deepEqual(replies.map((reply) => reply.status).toSorted(), [201, ...Array.from({ length: 9 }, () => 412)])
  })
})

describe('DELETE of a manifest (end-9)', () => {
  it('by tag removes only the tag', async () => {
    await registry.putManifest(repository, 'gone', image)
    assert.equal((await registry.call('DELETE', path('gone'))).status, 202)
    assert.equal((await registry.call('GET', path('gone'))).status, 404)
    assert.equal((await registry.call('GET', path(digestOf(JSON.stringify(image))))).status, 200)
    const again = await registry.call('DELETE', path('gone'))
    assert.deepEqual([again.status, codesOf(again)], [404, ['MANIFEST_UNKNOWN']])
  })

  it('by digest removes it and every tag on it', async () => {
    const next = await another()
    const own = digestOf(JSON.stringify(next))
    for (const tag of ['d1', 'd2', 'd3']) await registry.putManifest(repository, tag, next)
    assert.equal((await registry.call('GET', path('d1'))).status, 200)
    assert.equal((await registry.call('DELETE', path(own))).status, 202)
    for (const reference of [own, 'd1', 'd2', 'd3'])
      assert.equal((await registry.call('GET', path(reference))).status, 404)
    const list = await registry.call('GET', `/v2/${repository}/tags/list`)
    assert.ok(!list.body.toString().includes('"d1"'))
    assert.equal((await registry.call('DELETE', path(own))).status, 404)
    assert.equal((await registry.putManifest(repository, 'd1', next)).status, 201)
  })

  it('lets a child of an index go', async () => {
    const child = await another()
    await registry.putManifest(repository, digestOf(JSON.stringify(child)), child)
    await registry.putManifest(repository, 'parent', makeIndex([child]))
    assert.equal((await registry.call('DELETE', path(digestOf(JSON.stringify(child))))).status, 202)
    assert.equal((await registry.call('GET', path('parent'))).status, 200)
  })

  for (const [reference, status] of [
    ['sha256:bad', 400],
    [`sha256:${'0'.repeat(64)}`, 404],
    ['never-there', 404],
    ['-bad', 400],
  ] as const) {
    it(`answers ${status} for ${reference.slice(0, 12)}`, async () => {
      assert.equal((await registry.call('DELETE', path(reference))).status, status)
    })
  }
})
