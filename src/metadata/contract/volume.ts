import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import type { Found, FoundManifest } from '../volume-facts.ts'
import { actor, pushOf, type Tools } from './tools.ts'

/** What is found in a volume of another registry, and what a tag pointed to. */
export function testVolume({ store, reopen, commitBlob, push, eventsOf, passSeconds, now }: Tools): void {
  const found = (part: Partial<Found>): Found => ({ blobs: [], manifests: [], tags: [], ...part })
  function manifest(text: string, more: Partial<FoundManifest> = {}): FoundManifest {
    const content = Buffer.from(text)
    const mediaType = mediaTypes.image
    const unset = { subject: undefined, artifactType: undefined, annotations: undefined }
    return { digest: digestOf(content), mediaType, content, pushedAt: 1000, ...unset, ...more }
  }

  describe('what is taken in', () => {
    it('is there afterwards, without events', async () => {
      const subject = digestOf(Buffer.from('subject'))
      const one = manifest('taken one', { subject, artifactType: 'a/b', annotations: { k: 'v' } })
      const blob = { digest: digestOf(Buffer.from('taken')), size: 5, storedAt: 500 }
      const tag = { name: 'v1', digest: one.digest, movedAt: 3000, history: [{ digest: subject, at: 2000 }] }
      const events = await eventsOf(() =>
        store().volume.takeIn('taken/a', found({ blobs: [blob], manifests: [one], tags: [tag] })),
      )
      assert.deepEqual(events, [])
      await reopen()
      assert.equal((await store().blobs.find('taken/a', blob.digest))?.size, 5)
      const served = await store().manifests.find('taken/a', { tag: 'v1' })
      assert.deepEqual([served?.digest, String(served?.content)], [one.digest, 'taken one'])
      const { descriptors } = await store().manifests.referrers('taken/a', subject, ['a/b'], { limit: 9, bytes: 9999 })
      assert.deepEqual(JSON.parse(descriptors).annotations, { k: 'v' })
      assert.deepEqual(await store().volume.of('taken/a'), {
        layers: new Set([blob.digest]),
        manifests: new Map([[one.digest, { pushedAt: 1000, mediaType: mediaTypes.image }]]),
        tags: new Map([['v1', { digest: one.digest, movedAt: 3000 }]]),
      })
      const taken = { by: 'registry:2', why: 'taken over' }
      assert.deepEqual(await store().history.moves('taken/a', 'v1', { limit: 9 }), [
        { digest: one.digest, at: new Date(3000), ...taken },
        { digest: subject, at: new Date(2000), ...taken },
      ])
    })

    it('moves a tag also when it was read before, and leaves what is known', async () => {
      const before = await push(pushOf('taken/b', 'before', { tags: ['v1'] }))
      assert.equal((await store().manifests.find('taken/b', { tag: 'v1' }))?.digest, before)
      const pushedAt = (await store().volume.of('taken/b')).manifests.get(before)?.pushedAt
      const next = manifest('next')
      const tags = [{ name: 'v1', digest: next.digest, movedAt: now().getTime() + 1, history: [] }]
      await store().volume.takeIn('taken/b', found({ manifests: [next, manifest('before')], tags }))
      assert.equal((await store().manifests.find('taken/b', { tag: 'v1' }))?.digest, next.digest)
      assert.equal((await store().volume.of('taken/b')).manifests.get(before)?.pushedAt, pushedAt)
    })

    it('is not when something happened in the repository since somebody looked', async () => {
      const since = await store().volume.lastEvent()
      const one = found({ manifests: [manifest('looked at')] })
      await push(pushOf('taken/elsewhere', 'elsewhere'))
      assert.equal(await store().volume.takeIn('taken/c', one, since), true)
      await push(pushOf('taken/c', 'meanwhile'))
      assert.equal(await store().volume.takeIn('taken/c', found({ manifests: [manifest('too late')] }), since), false)
      assert.equal((await store().volume.of('taken/c')).manifests.size, 2)
    })

    it('names the repositories that hold anything', async () => {
      await store().volume.takeIn('taken/empty', found({}))
      const names = await Array.fromAsync(store().volume.repositories())
      assert.ok(names.includes('taken/a') && !names.includes('taken/empty'))
      assert.deepEqual(names, names.toSorted())
    })

    it('names also more of them than are read at a time', async () => {
      const many = Array.from({ length: 1100 }, (_, i) => `taken/many/${String(i).padStart(4, '0')}`)
      const one = found({ manifests: [manifest('in many')] })
      for (const name of many) await store().volume.takeIn(name, one)
      const names = await Array.fromAsync(store().volume.repositories())
      assert.deepEqual(
        names.filter((name) => name.startsWith('taken/many/')),
        many,
      )
    })
  })

  it('is of a database with a name of its own', async () => {
    const identity = await store().volume.identity()
    assert.match(identity, /^[0-9a-f-]{36}$/)
    await reopen()
    assert.equal(await store().volume.identity(), identity)
  })

  describe('a blob whose bytes are gone', () => {
    it('is forgotten everywhere, with an event for each repository', async () => {
      const digest = await commitBlob('dropped/a', 'dropped')
      await store().blobs.mount({ repository: 'dropped/b', digest, from: 'dropped/a' }, actor)
      const since = await store().volume.lastEvent()
      const events = await eventsOf(async () => {
        assert.equal(await store().volume.dropBlob(digest, since), true)
      })
      assert.deepEqual(
        events.map(({ type, repository, actor: { name } }) => [type, repository, name]).toSorted(),
        ['dropped/a', 'dropped/b'].map((name) => ['blob.deleted', name, 'registry:2']),
      )
      assert.equal(await store().blobs.findAnywhere(digest), undefined)
    })

    it('is kept when it was pushed since somebody looked', async () => {
      const since = await store().volume.lastEvent()
      const digest = await commitBlob('dropped/c', 'pushed again')
      assert.equal(await store().volume.dropBlob(digest, since), false)
      assert.ok(await store().blobs.find('dropped/c', digest))
    })

    it('has its size corrected when its bytes are whole after all', async () => {
      const digest = await commitBlob('resized/a', 'resized')
      await store().volume.resizeBlob(digest, 70)
      assert.equal((await store().blobs.find('resized/a', digest))?.size, 70)
    })
  })

  describe('the last event', () => {
    it('is known also when no event is kept, and found by its moment', async () => {
      passSeconds(60)
      const moment = now()
      await commitBlob('last/a', 'last')
      const last = await store().volume.lastEvent()
      assert.equal((await store().events.after(last - 1, 5)).length, 1)
      assert.ok((await store().volume.lastEventBefore(moment)) < last)
      passSeconds(1)
      assert.equal(await store().volume.lastEventBefore(now()), last)
      await store().events.deleteBefore(now())
      assert.equal(await store().volume.lastEvent(), last)
      assert.equal(await store().volume.lastEventBefore(now()), 0)
    })
  })
}
