import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Digest } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import { actor, pushOf, type Tools } from './tools.ts'

/** Registers the tests of what is kept of the past: the journal of tags and the trash. */
export function testHistory({ store, push, passSeconds, now, commitBlob, reopen }: Tools): void {
  const historyOf = (repository: string, tag: string) => store().history.moves(repository, tag, { limit: 100 })

  describe('the journal of a tag', () => {
    it('has every move with its doer and reason, the newest first, and outlives the tag', async () => {
      const moves = []
      for (const text of ['a', 'b', 'a']) {
        passSeconds(1)
        const digest = await push(pushOf('history/a', text, { tags: ['v1', 'v2'] }))
        moves.unshift({ digest, at: now(), by: 'alice', why: 'pushed' })
      }
      assert.deepEqual(await historyOf('history/a', 'v1'), moves)
      assert.deepEqual(await historyOf('history/a', 'none'), [])
      assert.deepEqual(await historyOf('nowhere', 'v1'), [])
      passSeconds(1)
      await store().tags.delete('history/a', 'v1', actor)
      const end = { digest: undefined, at: now(), by: 'alice', why: 'deleted' }
      assert.deepEqual(await historyOf('history/a', 'v1'), [end, ...moves])
      await store().manifests.delete('history/a', moves[0]!.digest, actor)
      assert.deepEqual(await historyOf('history/a', 'v2'), [{ ...end, why: 'image deleted' }, ...moves])
      await reopen()
      assert.equal((await historyOf('history/a', 'v2')).length, 4)
    })

    it('does not grow when a tag is pushed again where it stands', async () => {
      for (let i = 0; i < 3; i++) {
        passSeconds(1)
        await push(pushOf('history/same', 'same', { tags: ['v1'] }))
      }
      assert.equal((await historyOf('history/same', 'v1')).length, 1)
    })

    it('keeps the order of moves of the same moment, or of a clock that went back', async () => {
      for (const text of ['a', 'b', 'c']) await push(pushOf('history/fast', text, { tags: ['v1'] }))
      passSeconds(-60)
      const last = await push(pushOf('history/fast', 'd', { tags: ['v1'] }))
      const moves = await historyOf('history/fast', 'v1')
      assert.equal(moves[0]?.digest, last)
      assert.equal(new Set(moves.map(({ at }) => at.getTime())).size, 4)
      passSeconds(60)
    })

    it('is read in pages', async () => {
      for (const text of ['a', 'b', 'c']) await push(pushOf('history/pages', text, { tags: ['v1'] }))
      const all = await historyOf('history/pages', 'v1')
      const first = await store().history.moves('history/pages', 'v1', { limit: 2 })
      const second = await store().history.moves('history/pages', 'v1', { limit: 2, before: first[1]!.at })
      assert.deepEqual([...first, ...second], all)
    })

    it('is read for all tags of a repository, in pages', async () => {
      const a = await push(pushOf('history/all', 'a', { tags: ['v1', 'v2', 'v3'] }))
      passSeconds(1)
      const b = await push(pushOf('history/all', 'b', { tags: ['v2'] }))
      passSeconds(1)
      await store().tags.delete('history/all', 'v3', actor)
      await push(pushOf('history/other', 'a', { tags: ['v1'] }))
      const read = []
      for (let before: { at: Date; tag: string } | undefined; ;) {
        const part = await store().history.journal('history/all', { limit: 2, before })
        read.push(...part)
        before = part.at(-1)
        if (part.length < 2) break
      }
      const short = read.map(({ tag, digest, why }) => [tag, digest, why])
      assert.deepEqual(short, [
        ['v3', undefined, 'deleted'],
        ['v2', b, 'pushed'],
        ...['v3', 'v2', 'v1'].map((tag) => [tag, a, 'pushed']),
      ])
      assert.deepEqual(await store().history.journal('history/none', { limit: 9 }), [])
    })

    it('tells how tags stood at a moment', async () => {
      const before = now()
      passSeconds(10)
      const a = await push(pushOf('history/then', 'a', { tags: ['v1', 'v2', 'v3'] }))
      const then = now()
      passSeconds(10)
      const b = await push(pushOf('history/then', 'b', { tags: ['v1'] }))
      await store().tags.delete('history/then', 'v2', actor)
      const asOf = (moment: Date, last?: string) => store().history.tagsAsOf('history/then', moment, { limit: 2, last })
      assert.deepEqual(await asOf(before), [])
      const first = [
        { name: 'v1', digest: a },
        { name: 'v2', digest: a },
      ]
      assert.deepEqual(await asOf(then), first)
      assert.deepEqual(await asOf(then, 'v2'), [{ name: 'v3', digest: a }])
      assert.deepEqual(await asOf(now()), [
        { name: 'v1', digest: b },
        { name: 'v3', digest: a },
      ])
    })
  })

  describe('the trash', () => {
    const trashOf = (repository: string) => store().history.trash(repository, { limit: 100 })

    it('holds what was deleted, which nobody else sees', async () => {
      const layer = await commitBlob('trash/a', 'layer')
      const references = [{ digest: layer, size: 5, kind: 'blob' as const }]
      const digest = await push(pushOf('trash/a', 'image', { tags: ['v1', 'latest'], references }))
      passSeconds(1)
      assert.deepEqual(await store().manifests.delete('trash/a', digest, actor), ['latest', 'v1'])
      assert.equal(await store().manifests.find('trash/a', { digest }), undefined)
      assert.equal(await store().manifests.find('trash/a', { tag: 'v1' }), undefined)
      assert.equal(await store().manifests.delete('trash/a', digest, actor), undefined)
      assert.ok(!(await store().repositories.list({ limit: 1000 })).includes('trash/a'))
      assert.equal((await store().volume.of('trash/a')).manifests.size, 0)
      assert.deepEqual(await trashOf('trash/a'), [
        {
          digest,
          mediaType: mediaTypes.image,
          size: 5,
          at: now(),
          by: 'alice',
          why: 'deleted',
          tags: ['latest', 'v1'],
        },
      ])
      assert.equal(String((await store().history.trashed('trash/a', digest))?.content), 'image')
      assert.equal(await store().history.trashed('trash/b', digest), undefined)
    })

    it('is no child that an index could refer to', async () => {
      const child = await push(pushOf('trash/child', 'child'))
      await store().manifests.delete('trash/child', child, actor)
      const references = [{ digest: child, size: 5, kind: 'child' as const }]
      const outcome = await store().manifests.push(pushOf('trash/child', 'index', { references }), actor)
      assert.deepEqual(outcome, { outcome: 'missing', digests: [child] })
    })

    it('is left by being pushed again', async () => {
      const subject: Digest = `sha256:${'5'.repeat(64)}`
      const more = { subject, artifactType: 'a/b', annotations: undefined }
      const digest = await push(pushOf('trash/again', 'image', { ...more, tags: ['v1'] }))
      await store().manifests.delete('trash/again', digest, actor)
      await push(pushOf('trash/again', 'image', { ...more, tags: ['v1'], why: 'restored' }))
      assert.deepEqual(await trashOf('trash/again'), [])
      assert.equal((await store().manifests.find('trash/again', { tag: 'v1' }))?.digest, digest)
      assert.deepEqual(
        (await historyOf('trash/again', 'v1')).map(({ why }) => why),
        ['restored', 'image deleted', 'pushed'],
      )
      const { descriptors } = await store().manifests.referrers('trash/again', subject, [], { limit: 9, bytes: 9999 })
      assert.equal(JSON.parse(descriptors).digest, digest)
    })

    it('is left by what another registry has pushed again', async () => {
      const digest = await push(pushOf('trash/taken', 'image'))
      await store().manifests.delete('trash/taken', digest, actor)
      const content = Buffer.from('image')
      const none = { subject: undefined, artifactType: undefined, annotations: undefined }
      const manifest = { digest, mediaType: mediaTypes.image, content, pushedAt: 1000, ...none }
      await store().volume.takeIn('trash/taken', { blobs: [], manifests: [manifest], tags: [] })
      assert.equal((await store().manifests.find('trash/taken', { digest }))?.digest, digest)
    })
  })
}
