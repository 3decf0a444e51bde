import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Tools } from './tools.ts'

/** What a storage remembers of content on its way in. */
export function testUploadStates({ store, reopen, now }: Tools): void {
  describe('the state of an upload', () => {
    it('is kept until it is deleted, also when the store is opened again', async () => {
      assert.equal(await store().uploadStates.get('states/a'), undefined)
      assert.equal(await store().uploadStates.set('states/a', 'one', 0), true)
      await reopen()
      assert.deepEqual(await store().uploadStates.get('states/a'), { version: 1, state: 'one', changedAt: now() })
      await store().uploadStates.delete('states/a')
      assert.equal(await store().uploadStates.get('states/a'), undefined)
      await store().uploadStates.delete('states/a')
    })

    it('changes only from the version that is expected', async () => {
      assert.equal(await store().uploadStates.set('states/b', 'from nowhere', 1), false)
      assert.equal(await store().uploadStates.set('states/b', 'one', 0), true)
      assert.equal(await store().uploadStates.set('states/b', 'again', 0), false)
      assert.equal(await store().uploadStates.set('states/b', 'two', 1), true)
      assert.equal(await store().uploadStates.set('states/b', 'late', 1), false)
      const found = await store().uploadStates.get('states/b')
      assert.deepEqual([found?.version, found?.state], [2, 'two'])
    })

    it('is changed by one of many at once', async () => {
      const attempts = Array.from({ length: 20 }, (_, i) => store().uploadStates.set('states/c', `${i}`, 0))
      assert.equal((await Promise.all(attempts)).filter(Boolean).length, 1)
    })

    it('is found by the beginning of its path', async () => {
      for (const path of ['below/a', 'below/%', 'below/b/c', 'belows']) await store().uploadStates.set(path, 'x', 0)
      assert.deepEqual(await store().uploadStates.below('below/'), ['below/%', 'below/a', 'below/b/c'])
      assert.deepEqual(await store().uploadStates.below('below/_'), [])
    })
  })
}
