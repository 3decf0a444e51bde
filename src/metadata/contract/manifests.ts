import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Digest, digestOf } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import { actor, pushOf, type Tools } from './tools.ts'

const unknown = digestOf(Buffer.from('unknown'))

/** Manifests, tags, lists and referrers. */
export function testManifests({ store, reopen, commitBlob, eventsOf, push, now }: Tools): void {
  const find = (repository: string, reference: { tag: string } | { digest: Digest }) =>
    store().manifests.find(repository, reference)

  describe('a manifest', () => {
    it('is found by digest and tag, byte for byte, in its repository only', async () => {
      const text = '{ "bytes":  "kept ä" }\n'
      const digest = await push(pushOf('found/a', text, { tags: ['v1', 'latest'] }))
      for (const reference of [{ digest }, { tag: 'v1' }, { tag: 'latest' }]) {
        for (let i = 0; i < 2; i++) {
          const found = await find('found/a', reference)
          assert.deepEqual([found?.digest, found?.mediaType], [digest, mediaTypes.image])
          assert.equal(found?.content.toString(), text)
        }
        assert.equal(await find('found/b', reference), undefined)
      }
      assert.equal(await find('found/a', { tag: 'v2' }), undefined)
      assert.equal(await find('found/a', { digest: unknown }), undefined)
    })

    it('is still there when the store is opened again', async () => {
      const digest = await push(pushOf('again/m', 'again', { tags: ['v1'] }))
      await reopen()
      assert.equal((await find('again/m', { tag: 'v1' }))?.digest, digest)
    })

    it('may be pushed again, with more tags and another media type', async () => {
      const one = pushOf('twice/m', 'twice', { tags: ['v1'] })
      const digest = await push(one)
      await push({ ...one, tags: ['v2'], manifest: { ...one.manifest, mediaType: mediaTypes.dockerImage } })
      for (const tag of ['v1', 'v2']) {
        const found = await find('twice/m', { tag })
        assert.deepEqual([found?.digest, found?.mediaType], [digest, mediaTypes.dockerImage])
      }
    })

    it('takes a tag over, and the one before stays', async () => {
      const before = await push(pushOf('moved/m', 'before', { tags: ['v1'] }))
      assert.equal((await find('moved/m', { tag: 'v1' }))?.digest, before)
      const next = await push(pushOf('moved/m', 'next', { tags: ['v1'] }))
      assert.equal((await find('moved/m', { tag: 'v1' }))?.digest, next)
      assert.equal((await find('moved/m', { digest: before }))?.digest, before)
    })

    it('needs what it refers to in its own repository', async () => {
      const here = await commitBlob('refers/m', 'here')
      const elsewhere = await commitBlob('refers/other', 'elsewhere')
      const child = await push(pushOf('refers/m', 'child'))
      const blob = (digest: Digest, size: number) => ({ digest, size, kind: 'blob' as const })
      const references = [blob(here, 4), blob(elsewhere, 9), blob(unknown, 1), blob(unknown, 1), blob(child, 5)]
      const outcome = await store().manifests.push(pushOf('refers/m', 'x', { references, tags: ['v1'] }), actor)
      assert.deepEqual(outcome, { outcome: 'missing', digests: [elsewhere, unknown, child] })
      await push(pushOf('refers/m', 'x', { references: [blob(here, 4)] }))
    })

    it('takes manifests and blobs as its children', async () => {
      const blob = await commitBlob('child/m', 'a blob')
      const child = await push(pushOf('child/m', 'a manifest'))
      const references = [
        { digest: blob, size: 6, kind: 'child' as const },
        { digest: child, size: 10, kind: 'child' as const },
      ]
      await push(pushOf('child/m', 'index', { references }))
      const missing = { ...references[0]!, digest: unknown }
      const outcome = await store().manifests.push(pushOf('child/m', 'i2', { references: [missing] }), actor)
      assert.deepEqual(outcome, { outcome: 'missing', digests: [unknown] })
    })

    it('is refused when it is wrong about a size, and told the right one', async () => {
      const digest = await commitBlob('size/m', 'four')
      const child = await push(pushOf('size/m', 'child'))
      for (const [wrong, kind, size] of [
        [digest, 'blob', 4],
        [child, 'child', 5],
      ] as const) {
        const references = [{ digest: wrong, size: 99, kind }]
        const outcome = await store().manifests.push(pushOf('size/m', 'x', { references }), actor)
        assert.deepEqual(outcome, { outcome: 'wrong-size', digest: wrong, size })
      }
    })

    it('sets all its tags or nothing', async () => {
      const references = [{ digest: unknown, size: 1, kind: 'blob' as const }]
      const refused = pushOf('atomic/m', 'refused', { references, tags: ['a', 'b'] })
      const events = await eventsOf(() => store().manifests.push(refused, actor))
      assert.deepEqual(events, [])
      assert.equal(await find('atomic/m', { tag: 'a' }), undefined)
      assert.equal(await find('atomic/m', { digest: refused.manifest.digest }), undefined)
      assert.ok(!(await store().repositories.list({ limit: 1000 })).includes('atomic/m'))
    })

    it('is pushed only while its tag stands where it is expected', async () => {
      const first = await push(pushOf('expects/m', 'first', { tags: ['v1'], expects: 'absent' }))
      const cases = [
        ['absent', 'v1', false],
        [{ digests: [unknown] }, 'v1', false],
        [{ digests: [] }, 'v1', false],
        [{ digests: ['*'] }, 'none', false],
        [{ digests: ['undefined'] }, 'none', false],
        [{ digests: [unknown, first] }, 'v1', true],
        [{ digests: ['*'] }, 'v1', true],
        ['absent', 'fresh', true],
      ] as const
      for (const [i, [expects, tag, pushed]] of cases.entries()) {
        const next = pushOf('expects/m', `next ${i}`, {
          tags: [tag],
          expects: expects === 'absent' ? expects : { digests: [...expects.digests] },
        })
        const outcome = await store().manifests.push(next, actor)
        assert.deepEqual(
          outcome,
          { outcome: pushed ? 'pushed' : 'precondition-failed' },
          JSON.stringify([expects, tag]),
        )
        assert.equal((await find('expects/m', next.manifest)) !== undefined, pushed)
      }
    })

    it('lets one of many that expect the same win', async () => {
      const all = Array.from({ length: 20 }, (_, i) =>
        pushOf('race/m', `race ${i}`, { tags: ['v1'], expects: 'absent' }),
      )
      const outcomes = await Promise.all(all.map((one) => store().manifests.push(one, actor)))
      assert.equal(outcomes.filter(({ outcome }) => outcome === 'pushed').length, 1)
    })

    it('is deleted together with its tags and no others', async () => {
      const digest = await push(pushOf('delete/m', 'deleted', { tags: ['b', 'a'] }))
      const other = await push(pushOf('delete/m', 'other', { tags: ['c'] }))
      await push(pushOf('delete/other', 'deleted', { tags: ['a'] }))
      await find('delete/m', { tag: 'a' })
      assert.deepEqual((await store().manifests.delete('delete/m', digest, actor))?.toSorted(), ['a', 'b'])
      for (const reference of [{ digest }, { tag: 'a' }, { tag: 'b' }])
        assert.equal(await find('delete/m', reference), undefined)
      assert.equal((await find('delete/m', { tag: 'c' }))?.digest, other)
      assert.equal((await find('delete/other', { tag: 'a' }))?.digest, digest)
      assert.equal(await store().manifests.delete('delete/m', digest, actor), undefined)
      assert.equal(await store().manifests.delete('delete/none', digest, actor), undefined)
    })

    it('records what happened, and nothing for what did not', async () => {
      const at = now().toISOString()
      const told = pushOf('told/m', 'told', { tags: ['a', 'b'] })
      const { digest, mediaType } = told.manifest
      const events = await eventsOf(async () => {
        await push(told)
        await store().tags.delete('told/m', 'a', actor)
        await store().tags.delete('told/m', 'a', actor)
        await store().manifests.delete('told/m', digest, actor)
        await store().manifests.delete('told/m', digest, actor)
      })
      const common = { repository: 'told/m', at, actor }
      assert.deepEqual(events, [
        { type: 'manifest.pushed', digest, mediaType, size: 4, tags: ['a', 'b'], ...common },
        { type: 'tag.deleted', tag: 'a', ...common },
        { type: 'manifest.deleted', digest, tags: ['b'], ...common },
      ])
    })
  })

  describe('a tag', () => {
    it('is deleted without its manifest, once', async () => {
      const digest = await push(pushOf('tag/m', 'tagged', { tags: ['v1', 'v2'] }))
      await find('tag/m', { tag: 'v1' })
      assert.equal(await store().tags.delete('tag/m', 'v1', actor), true)
      assert.equal(await store().tags.delete('tag/m', 'v1', actor), false)
      assert.equal(await store().tags.delete('tag/none', 'v1', actor), false)
      assert.equal(await find('tag/m', { tag: 'v1' }), undefined)
      assert.equal((await find('tag/m', { tag: 'v2' }))?.digest, digest)
      assert.equal((await find('tag/m', { digest }))?.digest, digest)
    })
  })

  describe('a list', () => {
    const tags = ['0', '1.10', '1.9', 'A', 'Z', '_', 'a', 'a-b', 'a.b', 'ab']

    it('of tags is in byte order and comes in pages', async () => {
      await push(pushOf('list/m', 'listed', { tags: tags.toReversed() }))
      assert.deepEqual(await store().tags.list('list/m', { limit: 100 }), tags)
      assert.deepEqual(await store().tags.list('list/m', { limit: 3 }), tags.slice(0, 3))
      assert.deepEqual(await store().tags.list('list/m', { limit: 3, last: '1.9' }), tags.slice(3, 6))
      assert.deepEqual(await store().tags.list('list/m', { limit: 3, last: 'a!' }), tags.slice(7))
      assert.deepEqual(await store().tags.list('list/m', { limit: 3, last: 'zz' }), [])
    })

    it('of tags is empty without tags and absent without a repository', async () => {
      await push(pushOf('list/untagged', 'untagged'))
      await commitBlob('list/blob', 'x')
      assert.deepEqual(await store().tags.list('list/untagged', { limit: 10 }), [])
      assert.deepEqual(await store().tags.list('list/blob', { limit: 10 }), [])
      assert.equal(await store().tags.list('list/none', { limit: 10 }), undefined)
    })

    it('of repositories holds those with a manifest, in byte order and pages', async () => {
      const names = ['zz/a', 'zz/a-b', 'zz/a.b', 'zz/a/b', 'zz/a_b', 'zz/b']
      for (const name of names.toReversed()) await push(pushOf(name, 'x'))
      await commitBlob('zz/only-a-blob', 'x')
      const emptied = await push(pushOf('zz/emptied', 'x'))
      await store().manifests.delete('zz/emptied', emptied, actor)
      assert.deepEqual(await store().repositories.list({ limit: 100, last: 'zz/' }), names)
      assert.deepEqual(await store().repositories.list({ limit: 2, last: 'zz/a' }), names.slice(1, 3))
      assert.equal((await store().repositories.list({ limit: 1 })).length, 1)
    })
  })

  describe('referrers', () => {
    const subject = digestOf(Buffer.from('a subject'))
    const list = async (
      of: Digest,
      types: string[] = [],
      page: { limit?: number; last?: string; bytes?: number } = {},
    ) => {
      const all = { limit: 100, bytes: 1e6, ...page }
      const { descriptors, next } = await store().manifests.referrers('referrers/m', of, types, all)
      return { found: JSON.parse(`[${descriptors}]`) as { digest: Digest }[], next }
    }

    it('are described in order of digest, in pages, of some types or all', async () => {
      const all: { digest: Digest; artifactType: string | undefined }[] = []
      for (const [i, artifactType] of ['a/1', 'a/2', undefined, 'a/1', 'a/3'].entries()) {
        const annotations = i === 0 ? { key: 'ä "value"' } : undefined
        all.push({
          digest: await push(pushOf('referrers/m', `referrer ${i}`, { subject, artifactType, annotations })),
          artifactType,
        })
      }
      await push(pushOf('referrers/m', 'of another', { subject: unknown }))
      await push(pushOf('referrers/other', 'elsewhere', { subject }))
      all.sort((a, b) => (a.digest < b.digest ? -1 : 1))
      const digests = (types?: string[]) =>
        all.filter((one) => !types || types.includes(one.artifactType ?? '')).map((one) => one.digest)
      const expect = async (
        page: Parameters<typeof list>[2],
        types: string[],
        digestsFound: Digest[],
        more = false,
      ) => {
        const { found, next } = await list(subject, types, page)
        assert.deepEqual(
          found.map((one) => one.digest),
          digestsFound,
        )
        assert.equal(next, more ? digestsFound.at(-1) : undefined)
      }
      await expect({}, [], digests())
      await expect({}, ['a/1'], digests(['a/1']))
      await expect({}, ['a/1', 'a/3', 'a/none'], digests(['a/1', 'a/3']))
      await expect({}, ['a/none'], [])
      await expect({ limit: 2 }, [], digests().slice(0, 2), true)
      await expect({ limit: 2, last: digests()[1]! }, [], digests().slice(2, 4), true)
      await expect({ limit: 1, last: digests()[3]! }, [], digests().slice(4))
      await expect({ limit: 1 }, ['a/1'], digests(['a/1']).slice(0, 1), true)
      await expect({ limit: 2 }, ['a/1'], digests(['a/1']))
      await expect({ limit: 0 }, [], [])
      assert.deepEqual(await list(digestOf(Buffer.from('of nobody'))), { found: [], next: undefined })
    })

    it('are given in parts that fit into memory when they are large', async () => {
      const own = digestOf(Buffer.from('a subject of many'))
      const annotations = { filler: 'x'.repeat(4_000_000) }
      const pushed: Digest[] = []
      for (let i = 0; i < 7; i++)
        pushed.push(await push(pushOf('referrers/m', `large ${i}`, { subject: own, annotations })))
      const parts: Digest[][] = []
      for (let next: string | undefined = ''; next !== undefined;) {
        const part = await list(own, [], { bytes: 9e6, last: next })
        parts.push(part.found.map((one) => one.digest))
        next = part.next
      }
      assert.deepEqual(
        parts.map((part) => part.length),
        [2, 2, 2, 1],
      )
      assert.deepEqual(parts.flat(), pushed.toSorted())
      assert.equal((await list(own, [], { bytes: 10 })).found.length, 1, 'one at least')
    })

    it('are described by JSON that clients can read', async () => {
      const own = digestOf(Buffer.from('described'))
      const annotations = { key: 'ä "value"' }
      const digest = await push(pushOf('referrers/m', 'whole', { subject: own, artifactType: 'a/b', annotations }))
      const { found } = await list(own)
      const expected = { mediaType: mediaTypes.image, digest, size: 5, artifactType: 'a/b', annotations }
      assert.deepEqual(found, [expected])
      await store().manifests.delete('referrers/m', digest, actor)
      assert.deepEqual(await list(own), { found: [], next: undefined })
    })
  })

  describe('any text', () => {
    const odd = ['\0', 'a\0b', '\u{1F600}', "'; drop table tag; --", '%', '\\', '{"a",NULL}']
    it('is borne where something is looked for', async () => {
      const subject = digestOf(Buffer.from('odd'))
      for (const [i, artifactType] of odd.entries())
        await push(
          pushOf('odd/a', `odd ${i}`, { tags: ['v1'], subject, artifactType, annotations: { [artifactType]: 'x' } }),
        )
      for (const text of odd) {
        assert.ok(await store().tags.list('odd/a', { limit: 9, last: text }))
        assert.ok(await store().repositories.list({ limit: 9, last: text }))
        assert.equal(await store().uploads.find(text), undefined)
        const page = { limit: 9, bytes: 1e6 }
        const { descriptors } = await store().manifests.referrers('odd/a', subject, [text, 'other'], page)
        const found = JSON.parse(`[${descriptors}]`) as { artifactType: string; annotations: object }[]
        assert.deepEqual([found.length, found[0]?.artifactType, found[0]?.annotations], [1, text, { [text]: 'x' }])
      }
    })
  })
}
