import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Answer, codesOf, type Descriptor, digestOf, makeImage, types, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'referrers/app'
const image = await makeImage(registry, repository)
const subject = subjectOf('the subject of most tests')

function subjectOf(text: string): Descriptor {
  return { mediaType: types.image, digest: digestOf(text), size: text.length }
}

function list(digest: string, query = ''): Promise<Answer> {
  return registry.call('GET', `/v2/${repository}/referrers/${digest}${query}`)
}

function manifestsOf(reply: Answer): Descriptor[] {
  assert.equal(reply.status, 200, reply.body.toString())
  assert.equal(reply.headers['content-type'], types.index)
  const index = JSON.parse(reply.body.toString()) as {
    schemaVersion: number
    mediaType: string
    manifests: Descriptor[]
  }
  assert.equal(index.schemaVersion, 2)
  assert.equal(index.mediaType, types.index)
  return index.manifests
}

const digestsOf = (reply: Answer) => manifestsOf(reply).map(({ digest }) => digest)

/** Pushes a manifest by its digest and gives the digest. */
async function push(document: object): Promise<string> {
  const digest = digestOf(JSON.stringify(document))
  const reply = await registry.putManifest(repository, digest, document)
  assert.equal(reply.status, 201, reply.body.toString())
  return digest
}

/** Walks all pages. */
async function follow(path: string): Promise<{ digests: string[]; pages: number }> {
  const digests: string[] = []
  for (let pages = 1, next: string | undefined = path; ; pages++) {
    const reply: Answer = await registry.call('GET', next)
    digests.push(...digestsOf(reply))
    next = /^<(\/[^>]+)>; rel="next"$/.exec(reply.headers.link ?? '')?.[1]
    if (!next) return { digests, pages }
  }
}

describe('the referrers of a manifest (end-12)', () => {
  for (const [what, path] of [
    ['of a subject nobody refers to', `/v2/${repository}/referrers/${digestOf('nobody')}`],
    ['in a repository nobody has seen', `/v2/never/seen/referrers/sha256:${'0'.repeat(64)}`],
    ['of a sha512', `/v2/${repository}/referrers/${digestOf('nobody', 'sha512')}`],
  ] as const) {
    it(`are an empty index: ${what}`, async () => {
      const reply = await registry.call('GET', path)
      assert.deepEqual(manifestsOf(reply), [])
      assert.equal(reply.headers['oci-filters-applied'], undefined)
      assert.equal(reply.headers.link, undefined)
    })
  }

  for (const bad of ['sha256:bad', 'latest', `sha384:${'0'.repeat(96)}`]) {
    it(`of ${bad.slice(0, 12)} are refused`, async () => {
      const reply = await list(bad)
      assert.deepEqual([reply.status, codesOf(reply)], [400, ['DIGEST_INVALID']])
    })
  }

  it('tell the type and annotations of each', async () => {
    const own = subjectOf('described')
    const annotations = { 'org.example.key': 'value', '': 'ä "quoted" \n' }
    const index = { schemaVersion: 2, mediaType: types.index, manifests: [], subject: own }
    const documents = [
      [{ ...image, subject: own, artifactType: 'a/explicit', annotations }, 'a/explicit'],
      [{ ...image, subject: own }, types.config],
      [{ ...image, subject: own, artifactType: '' }, types.config],
      [{ ...index, artifactType: 'a/index' }, 'a/index'],
      [index, undefined],
    ] as const
    const expected = new Map<string, unknown>()
    for (const [document, artifactType] of documents) {
      const size = JSON.stringify(document).length + ('annotations' in document ? Buffer.byteLength('ä') - 1 : 0)
      const more = 'annotations' in document ? { annotations } : {}
      const digest = await push(document)
      expected.set(digest, {
        mediaType: document.mediaType,
        digest,
        size,
        ...(artifactType && { artifactType }),
        ...more,
      })
    }
    const listed = manifestsOf(await list(own.digest))
    assert.equal(listed.length, documents.length)
    for (const descriptor of listed) assert.deepEqual(descriptor, expected.get(descriptor.digest))
  })

  it('are told at once, once each, and no longer after a delete', async () => {
    const own = subjectOf('deleted')
    const digest = await push({ ...image, subject: own })
    await push({ ...image, subject: own })
    await registry.putManifest(repository, 'tagged', { ...image, subject: own })
    assert.deepEqual(digestsOf(await list(own.digest)), [digest])
    await registry.call('DELETE', `/v2/${repository}/manifests/${digest}`)
    assert.deepEqual(digestsOf(await list(own.digest)), [])
  })

  it('are those of this repository only', async () => {
    const own = subjectOf('here')
    const digest = await push({ ...image, subject: own })
    const elsewhere = await makeImage(registry, 'referrers/other', { subject: own })
    await registry.putManifest('referrers/other', 'v1', elsewhere)
    assert.deepEqual(digestsOf(await list(own.digest)), [digest])
  })

  it('outlive their subject and may come before it', async () => {
    const late = await makeImage(registry, repository)
    const own = { ...subjectOf(JSON.stringify(late)), size: JSON.stringify(late).length }
    const digest = await push({ ...image, subject: own })
    await push(late)
    assert.deepEqual(digestsOf(await list(own.digest)), [digest])
    await registry.call('DELETE', `/v2/${repository}/manifests/${own.digest}`)
    assert.deepEqual(digestsOf(await list(own.digest)), [digest])
  })
})

describe('the filter by artifact type', () => {
  const own = subjectOf('filtered')
  const pushed = new Map<string, string>()
  const encode = encodeURIComponent

  it('gives those of the type and says so', async () => {
    for (const type of ['a/one', 'a/two', 'a/three+json'])
      pushed.set(type, await push({ ...image, subject: own, artifactType: type }))
    pushed.set(types.config, await push({ ...image, subject: own }))
    for (const [type, digest] of pushed) {
      const reply = await list(own.digest, `?artifactType=${encode(type)}`)
      assert.deepEqual(digestsOf(reply), [digest])
      assert.equal(reply.headers['oci-filters-applied'], 'artifactType')
    }
  })

  for (const query of [
    '?artifactType=a/one&artifactType=a/two',
    '?artifactType=&artifactType=a/one&artifactType=a/two',
  ]) {
    it(`gives those of any of several types: ${query}`, async () => {
      const reply = await list(own.digest, query)
      assert.deepEqual(digestsOf(reply), [pushed.get('a/one')!, pushed.get('a/two')!].toSorted())
      assert.equal(reply.headers['oci-filters-applied'], 'artifactType')
    })
  }

  it('gives nothing for a type nobody has, and everything for no type', async () => {
    const none = await list(own.digest, '?artifactType=a/none')
    assert.deepEqual(digestsOf(none), [])
    assert.equal(none.headers['oci-filters-applied'], 'artifactType')
    const all = await list(own.digest, '?artifactType=')
    assert.equal(manifestsOf(all).length, 4)
    assert.equal(all.headers['oci-filters-applied'], undefined)
  })
})

describe('many referrers', () => {
  it('come in pages in one order, also filtered', async () => {
    const expected: string[] = []
    for (let i = 0; i < 12; i++)
      expected.push(
        await push({
          ...image,
          subject,
          artifactType: i % 2 ? 'a/odd' : 'a/even',
          annotations: { i: `${i}` },
        }),
      )
    const path = `/v2/${repository}/referrers/${subject.digest}`
    for (const [n, pages] of [
      [1, 12],
      [5, 3],
      [6, 2],
      [12, 1],
      [100, 1],
    ] as const) {
      assert.deepEqual(await follow(`${path}?n=${n}`), { digests: expected.toSorted(), pages })
    }
    const even = expected.filter((_, i) => i % 2 === 0).toSorted()
    assert.deepEqual(await follow(`${path}?artifactType=a/even&n=4`), { digests: even, pages: 2 })
  })

  it('that do not fit into 4 MiB come in several answers', async () => {
    const own = subjectOf('large')
    const expected: string[] = []
    for (let i = 0; i < 6; i++)
      expected.push(await push({ ...image, subject: own, annotations: { i: `${i}`, filler: 'ä'.repeat(450_000) } }))
    const path = `/v2/${repository}/referrers/${own.digest}`
    const first = await registry.call('GET', path)
    assert.ok(first.body.length <= 4 << 20)
    assert.ok(first.headers.link)
    assert.deepEqual((await follow(path)).digests, expected.toSorted())
  })
})

describe('a fallback tag', () => {
  it('is an ordinary tag, and its children are referrers', async () => {
    const own = subjectOf('fallback')
    const child = { ...image, subject: own, artifactType: 'a/b' }
    const digest = await push(child)
    const index = {
      schemaVersion: 2,
      mediaType: types.index,
      manifests: [{ mediaType: types.image, digest, size: JSON.stringify(child).length, artifactType: 'a/b' }],
    }
    const tag = own.digest.replace(':', '-')
    assert.equal((await registry.putManifest(repository, tag, index)).status, 201)
    assert.equal(
      (await registry.call('GET', `/v2/${repository}/manifests/${tag}`)).body.toString(),
      JSON.stringify(index),
    )
    assert.deepEqual(digestsOf(await list(own.digest)), [digest])
  })
})
