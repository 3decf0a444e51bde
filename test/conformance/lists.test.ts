import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Answer, codesOf, makeImage, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'lists/app'
const image = await makeImage(registry, repository)
// In byte order; a locale would sort them otherwise.
const tags = ['0', '1.0', '1.10', '1.9', 'A', 'Z', '_', 'a', 'a-b', 'a.b', 'aB', 'ab', 'latest', 'z']
for (const tag of tags.toReversed()) await registry.putManifest(repository, tag, image)
const repositories = [repository, 'lists/a', 'lists/a-b', 'lists/a/b', 'lists/z'].toSorted()
for (const name of repositories) await registry.putManifest(name, 'v1', await makeImage(registry, name))
await registry.call('DELETE', `/v2/${repository}/manifests/v1`)
await registry.pushBlob('lists/only-a-blob', 'x')

const kinds = [
  { what: 'tags', path: `/v2/${repository}/tags/list`, key: 'tags', all: tags },
  { what: 'repositories', path: '/v2/_catalog', key: 'repositories', all: repositories },
] as const

for (const { what, path, key, all } of kinds) {
  const get = (query: string) => registry.call('GET', path + query)
  const itemsOf = (reply: Answer): string[] => {
    assert.equal(reply.status, 200, reply.body.toString())
    assert.equal(reply.headers['content-type'], 'application/json')
    return (JSON.parse(reply.body.toString()) as Record<string, string[]>)[key]!
  }
  const nextOf = (reply: Answer) => /^<(\/v2\/[^>]+)>; rel="next"$/.exec(reply.headers.link ?? '')?.[1]

  describe(`the list of ${what}`, () => {
    it('is whole and in byte order', async () => {
      const reply = await get('')
      assert.deepEqual(itemsOf(reply), all)
      assert.equal(reply.headers.link, undefined)
    })

    for (const n of [1, 2, 3, all.length - 1, all.length, all.length + 1, 1000, 10_000, 999_999_999]) {
      it(`comes in pages of ${n} that hold everything once`, async () => {
        const found: string[] = []
        let next: string | undefined = `${path}?n=${n}`
        while (next) {
          const reply: Answer = await registry.call('GET', next)
          next = nextOf(reply)
          const items = itemsOf(reply)
          found.push(...items)
          if (next) assert.equal(items.length, n)
          assert.equal(next !== undefined, found.length < all.length, 'a Link exactly when there is more')
        }
        assert.deepEqual(found, all)
      })
    }

    it('is empty and ends for n=0', async () => {
      const reply = await get('?n=0')
      assert.deepEqual(itemsOf(reply), [])
      assert.equal(reply.headers.link, undefined)
    })

    for (const n of ['-1', 'x', '', '1.5', '1e3', '0x10', '%201']) {
      it(`refuses n=${n}`, async () => {
        const reply = await get(`?n=${n}`)
        assert.deepEqual([reply.status, codesOf(reply)], [400, ['PAGINATION_NUMBER_INVALID']])
      })
    }

    it('goes on after last, which need not exist, with n or without', async () => {
      assert.deepEqual(itemsOf(await get(`?last=${all[1]}`)), all.slice(2))
      assert.deepEqual(itemsOf(await get(`?last=${all[1]}!&n=2`)), all.slice(2, 4))
      assert.deepEqual(itemsOf(await get('?last=~')), [])
      assert.deepEqual(itemsOf(await get('?last=')), all)
    })

    it('is told to HEAD without a body', async () => {
      const [get1, head] = [await get(''), await registry.call('HEAD', path)]
      assert.equal(head.status, 200)
      assert.equal(head.headers['content-length'], String(get1.body.length))
      assert.equal(head.body.length, 0)
    })

    for (const method of ['POST', 'PUT', 'DELETE']) {
      it(`does not support ${method}`, async () => {
        assert.equal((await registry.call(method, path)).status, 405)
      })
    }
  })
}

describe('the tags (end-8)', () => {
  it('come with the name of the repository', async () => {
    const reply = await registry.call('GET', `/v2/${repository}/tags/list?n=1`)
    assert.deepEqual(JSON.parse(reply.body.toString()), { name: repository, tags: [tags[0]] })
  })

  it('of a repository nobody has seen are unknown', async () => {
    const reply = await registry.call('GET', '/v2/never/seen/tags/list')
    assert.deepEqual([reply.status, codesOf(reply)], [404, ['NAME_UNKNOWN']])
  })

  it('of a repository without any are an empty list, never null', async () => {
    const untagged = await makeImage(registry, 'lists/z')
    await registry.putManifest('lists/z', 'gone', untagged)
    await registry.call('DELETE', '/v2/lists/z/manifests/gone')
    await registry.call('DELETE', '/v2/lists/z/manifests/v1')
    for (const name of ['lists/z', 'lists/only-a-blob']) {
      const reply = await registry.call('GET', `/v2/${name}/tags/list`)
      assert.deepEqual(JSON.parse(reply.body.toString()), { name, tags: [] })
    }
  })
})
