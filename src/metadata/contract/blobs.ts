import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../oci/digest.ts'
import { actor, type Tools } from './tools.ts'

const unknown = digestOf(Buffer.from('unknown'))

/** Blobs of repositories, and the uploads they come by. */
export function testBlobsAndUploads({ store, reopen, commitBlob, eventsOf, passSeconds, now }: Tools): void {
  describe('a blob', () => {
    it('is found where it was committed and, by its digest alone, anywhere', async () => {
      const digest = await commitBlob('blobs/a', 'found')
      assert.equal((await store().blobs.find('blobs/a', digest))?.size, 5)
      assert.equal((await store().blobs.findAnywhere(digest))?.size, 5)
      assert.equal(await store().blobs.find('blobs/other', digest), undefined)
      assert.equal(await store().blobs.find('blobs/a', unknown), undefined)
      assert.equal(await store().blobs.findAnywhere(unknown), undefined)
    })

    it('may be committed again', async () => {
      await Promise.all([commitBlob('blobs/twice', 'twice'), commitBlob('blobs/twice', 'twice')])
      const digest = await commitBlob('blobs/twice', 'twice')
      assert.deepEqual(await store().blobs.repositoriesOf(digest), ['blobs/twice'])
    })

    it('knows the repositories that hold it, in byte order', async () => {
      for (const name of ['blobs/z', 'blobs/b', 'blobs/a-b']) await commitBlob(name, 'held by many')
      const digest = await commitBlob('blobs/a.b', 'held by many')
      assert.deepEqual(await store().blobs.repositoriesOf(digest), ['blobs/a-b', 'blobs/a.b', 'blobs/b', 'blobs/z'])
      assert.deepEqual(await store().blobs.repositoriesOf(unknown), [])
    })

    it('ends the upload it came by, in the same transaction', async () => {
      await store().uploads.create({ id: 'up', repository: 'blobs/up', algorithm: 'sha256', owner: '' })
      const digest = digestOf(Buffer.from('up'))
      await store().blobs.commit({ repository: 'blobs/up', digest, size: 2, upload: 'up' }, actor)
      assert.equal(await store().uploads.find('up'), undefined)
    })

    it('is mounted from a repository that holds it, and from no other', async () => {
      const digest = await commitBlob('mount/from', 'mounted')
      assert.equal(await store().blobs.mount({ repository: 'mount/to', digest, from: 'mount/from' }, actor), true)
      assert.equal((await store().blobs.find('mount/to', digest))?.size, 7)
      for (const from of ['mount/none', 'mount/third'])
        assert.equal(await store().blobs.mount({ repository: 'mount/third', digest, from }, actor), false)
      assert.equal(await store().blobs.find('mount/third', digest), undefined)
      assert.equal(await store().blobs.mount({ repository: 'mount/to', digest, from: 'mount/to' }, actor), true)
    })

    it('is unlinked from one repository only, once', async () => {
      const digest = await commitBlob('unlink/a', 'unlinked')
      await commitBlob('unlink/b', 'unlinked')
      assert.equal(await store().blobs.unlink('unlink/a', digest, actor), true)
      assert.equal(await store().blobs.unlink('unlink/a', digest, actor), false)
      assert.equal(await store().blobs.unlink('unlink/none', digest, actor), false)
      assert.equal(await store().blobs.find('unlink/a', digest), undefined)
      assert.equal((await store().blobs.find('unlink/b', digest))?.size, 8)
    })

    it('records what happened, and nothing for what did not', async () => {
      const at = now().toISOString()
      const digest = digestOf(Buffer.from('told'))
      const events = await eventsOf(async () => {
        await commitBlob('told/a', 'told')
        await store().blobs.mount({ repository: 'told/b', digest, from: 'told/a' }, actor)
        await store().blobs.mount({ repository: 'told/c', digest, from: 'told/none' }, actor)
        await store().blobs.unlink('told/a', digest, actor)
        await store().blobs.unlink('told/a', digest, actor)
      })
      assert.deepEqual(events, [
        { type: 'blob.pushed', repository: 'told/a', digest, size: 4, at, actor },
        { type: 'blob.mounted', repository: 'told/b', digest, from: 'told/a', at, actor },
        { type: 'blob.deleted', repository: 'told/a', digest, at, actor },
      ])
    })

    it('is still there when the store is opened again', async () => {
      const digest = await commitBlob('again/a', 'again')
      await reopen()
      assert.equal((await store().blobs.find('again/a', digest))?.size, 5)
    })
  })

  describe('an upload', () => {
    it('is found until it is deleted, also after the store is opened again', async () => {
      const upload = { id: 'an-id', repository: 'uploads/a', algorithm: 'sha512', owner: 'ann' } as const
      await store().uploads.create(upload)
      assert.deepEqual({ ...(await store().uploads.find('an-id')) }, upload)
      await reopen()
      assert.deepEqual({ ...(await store().uploads.find('an-id')) }, upload)
      await store().uploads.delete('an-id')
      assert.equal(await store().uploads.find('an-id'), undefined)
      await store().uploads.delete('an-id')
    })

    it('is old when it was started before a moment', async () => {
      await store().uploads.create({ id: 'old', repository: 'uploads/a', algorithm: 'sha256', owner: '' })
      passSeconds(60)
      await store().uploads.create({ id: 'new', repository: 'uploads/a', algorithm: 'sha256', owner: '' })
      assert.deepEqual(await store().uploads.startedBefore(new Date(now().getTime() - 30_000)), ['old'])
      assert.deepEqual((await store().uploads.startedBefore(new Date(now().getTime() + 1))).toSorted(), ['new', 'old'])
    })
  })
}
