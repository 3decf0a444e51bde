import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Digest } from '../../oci/digest.ts'
import { digestOf } from '../../oci/digest.ts'
import { actor, pushOf, type Tools } from './tools.ts'

const day = 24 * 3600
const page = 1000

/** Registers the tests of what the collector asks of a store: doubts, verdicts, the trash's end, and files in steps. */
export function testCollection({ store, push, passSeconds, now, commitBlob, reopen }: Tools): void {
  const facts = () => store().collection
  const before = () => now().getTime()
  const blob = (digest: Digest, size: number) => ({ digest, size, kind: 'blob' as const })
  const doubtsOf = async (repository: string) =>
    (await facts().doubts(before(), page))
      .filter((doubt) => doubt.repository === repository)
      .map(({ digest }) => digest)

  /** Condemns all that no repository holds; gives what was condemned until now. */
  async function condemnAll(): Promise<Digest[]> {
    const lost = await facts().unlinked(before(), page)
    await facts().condemn(
      lost.map(({ digest }) => digest),
      before(),
    )
    return (await facts().condemned(before() + 1, page)).map(({ digest }) => digest)
  }

  describe('a doubt', () => {
    it('begins with the blob, is settled by a manifest that refers to it, and ends the link of what nobody refers to', async () => {
      const [kept, lost] = [await commitBlob('gc/a', 'kept-layer'), await commitBlob('gc/a', 'lost-layer')]
      await push(pushOf('gc/a', 'gc image', { tags: ['v1'], references: [blob(kept, 10)] }))
      passSeconds(2 * day)
      assert.deepEqual((await doubtsOf('gc/a')).toSorted(), [kept, lost].toSorted())
      const verdict = await facts().judge('gc/a', [kept, lost], { before: before() })
      assert.deepEqual([verdict.waits, verdict.unlinked], [false, 1])
      assert.deepEqual(await doubtsOf('gc/a'), [])
      assert.equal(await store().blobs.find('gc/a', lost), undefined)
      assert.equal((await store().blobs.find('gc/a', kept))?.size, 10)
    })

    it('is not judged before its time, nor while somebody uploads, nor while a manifest is unread', async () => {
      const digest = await commitBlob('gc/early', 'early')
      const young = await facts().judge('gc/early', [digest], { before: before() - 1000 })
      assert.deepEqual([young.waits, young.unlinked], [false, 0])
      passSeconds(2 * day)
      await store().uploads.create({ id: 'an-upload', repository: 'gc/early', algorithm: 'sha256', owner: '' })
      assert.equal(
        (await facts().judge('gc/early', [digest], { before: before(), uploadsSince: before() - 1000 })).waits,
        true,
      )
      await store().uploads.delete('an-upload')
      assert.equal((await facts().judge('gc/early', [digest], { before: before() })).unlinked, 1)
    })

    it('begins anew when a push looks for the blob', async () => {
      const digest = await commitBlob('gc/found', 'found')
      passSeconds(2 * day)
      const looked = before()
      assert.ok(await store().blobs.find('gc/found', digest))
      assert.equal((await facts().judge('gc/found', [digest], { before: looked - 1 })).unlinked, 0)
    })

    it('comes back when the manifest that referred to it ends for good, and not while it is in the trash', async () => {
      const layer = await commitBlob('gc/end', 'end-layer')
      const image = await push(pushOf('gc/end', 'end image', { tags: ['v1'], references: [blob(layer, 9)] }))
      passSeconds(2 * day)
      await facts().judge('gc/end', [layer], { before: before() })
      await store().manifests.delete('gc/end', image, actor)
      passSeconds(1)
      assert.deepEqual(await doubtsOf('gc/end'), [])
      const expired = (await facts().expired(before(), page)).filter(({ repository }) => repository === 'gc/end')
      assert.deepEqual(
        expired.map(({ digest }) => digest),
        [image],
      )
      assert.equal(await facts().end('gc/end', [image], { before: before() - 10_000, doubtedAt: before() }), 0)
      assert.equal(await facts().end('gc/end', [image], { before: before(), doubtedAt: before() }), 1)
      passSeconds(1)
      assert.deepEqual(await doubtsOf('gc/end'), [layer])
      assert.equal((await facts().judge('gc/end', [layer], { before: before() })).unlinked, 1)
    })
  })

  describe('an untagged manifest', () => {
    it('goes to the trash unless a tag, an index, a subject or a pull keeps it', async () => {
      const pushed: Record<string, Digest> = {}
      for (const name of ['loose', 'child', 'tagged', 'pulled', 'subject'])
        pushed[name] = await push(pushOf('gc/loose', `gc ${name}`, { tags: name === 'tagged' ? ['v1'] : [] }))
      const child = { digest: pushed.child!, size: 8, kind: 'child' as const }
      await push(pushOf('gc/loose', 'gc index', { tags: ['all'], references: [child] }))
      pushed.referrer = await push(pushOf('gc/loose', 'gc referrer', { subject: pushed.tagged! }))
      passSeconds(2 * day)
      await facts().countPulls([{ repository: 'gc/loose', digest: pushed.pulled! }])
      const limits = { before: before(), doubtedAt: before(), pulledSince: before() - day * 1000 }
      const verdict = await facts().judgeManifests('gc/loose', Object.values(pushed), limits)
      assert.deepEqual(verdict, { waits: false, trashed: 2 })
      const trash = await store().history.trash('gc/loose', { limit: 10 })
      assert.deepEqual(trash.map(({ digest }) => digest).toSorted(), [pushed.loose!, pushed.subject!].toSorted())
    })
  })

  describe('bytes', () => {
    it('are condemned, deleted in steps that a publisher can stop, and forgotten', async () => {
      const digest = await commitBlob('gc/bytes', 'bytes-to-delete')
      passSeconds(2 * day)
      await facts().judge('gc/bytes', [digest], { before: before() })
      passSeconds(1)
      assert.ok((await condemnAll()).includes(digest))
      passSeconds(1)
      assert.equal(await facts().rescue(digest), true) // somebody is about to write them
      assert.deepEqual(await facts().beginDeleting([digest], before()), [])
      await facts().condemnFiles([{ digest, size: 15 }])
      passSeconds(1)
      assert.deepEqual(await facts().beginDeleting([digest], before()), [{ digest, size: 15 }])
      assert.equal(await facts().rescue(digest), false)
      await reopen()
      assert.equal(await facts().rescue(digest), false)
      await facts().finishDeleting([digest])
      const commit = { repository: 'gc/bytes', digest, size: 15, upload: 'none' }
      await assert.rejects(store().blobs.commit(commit, actor), /EAGAIN|again/) // published before, committed after
      assert.equal(await facts().rescue(digest), true)
      await store().blobs.commit(commit, actor)
      assert.equal((await store().blobs.find('gc/bytes', digest))?.size, 15)
    })

    it('of a blob that is there are never deleted, nor files that are known', async () => {
      const digest = await commitBlob('gc/there', 'there')
      const image = await push(pushOf('gc/there', 'gc there image', { tags: ['v1'], references: [blob(digest, 5)] }))
      const stranger = digestOf(Buffer.from('a file of nobody'))
      assert.deepEqual(await facts().unknown([digest, image, stranger]), [stranger])
      await facts().condemnFiles([digest, image, stranger].map((each) => ({ digest: each, size: 1 })))
      passSeconds(1)
      assert.deepEqual(await facts().beginDeleting([digest, image, stranger], before()), [
        { digest: stranger, size: 1 },
      ])
    })

    it('stay while a backup is under way', async () => {
      const digest = digestOf(Buffer.from('held by a backup'))
      await facts().condemnFiles([{ digest, size: 1 }])
      passSeconds(60)
      const isCondemned = async () => (await facts().condemned(before(), page)).some((one) => one.digest === digest)
      await store().vault.add('backup', 'hold', { text: '{}', endsAt: new Date(now().getTime() + 60_000) })
      assert.equal(await isCondemned(), false)
      assert.deepEqual(await facts().beginDeleting([digest], before()), [])
      passSeconds(61) // as long as a backup that was killed holds them
      assert.equal(await isCondemned(), true)
      assert.deepEqual(await facts().beginDeleting([digest], before()), [{ digest, size: 1 }])
      await facts().finishDeleting([digest])
      await store().vault.delete('backup', 'hold')
    })

    it('whose deletion ended without a word are deleted again', async () => {
      const digest = digestOf(Buffer.from('half deleted'))
      await facts().condemnFiles([{ digest, size: 12 }])
      passSeconds(1)
      await facts().beginDeleting([digest], before())
      passSeconds(120)
      await facts().resume(before())
      passSeconds(1)
      assert.deepEqual(await facts().beginDeleting([digest], before()), [{ digest, size: 12 }])
      await facts().finishDeleting([digest])
      passSeconds(2 * day)
      await facts().forgetDeleted(before())
      assert.deepEqual(await facts().unknown([digest]), [digest])
    })
  })

  it('what stays for now is counted, with since when the oldest of it does', async () => {
    passSeconds(1)
    const since = now().getTime()
    const limits = { pulled: since, trash: since, grace: since }
    const before = await facts().kept(limits)
    passSeconds(1)
    const [first, needed] = [await commitBlob('gc/kept', 'in its grace'), await commitBlob('gc/kept', 'needed')]
    const begun = now().getTime()
    await push(pushOf('gc/kept', 'gc kept image', { tags: ['v1'], references: [blob(needed, 6)] }))
    const loose = await push(pushOf('gc/kept', 'gc kept loose'))
    const old = await push(pushOf('gc/kept', 'gc kept old'))
    passSeconds(7200)
    await facts().countPulls([{ repository: 'gc/kept', digest: loose }])
    const pulledAt = now().getTime()
    await store().manifests.delete('gc/kept', old, actor)
    const found = await facts().kept(limits)
    assert.deepEqual([found.grace.count - before.grace.count, found.grace.since], [1, begun], first)
    assert.deepEqual([found.pulled.count - before.pulled.count, found.pulled.since], [1, pulledAt])
    assert.deepEqual([found.trash.count - before.trash.count, found.trash.since], [1, pulledAt])
  })

  it('what would go is counted as it goes', async () => {
    passSeconds(1)
    await facts().resume(before())
    const earlier = await facts().garbage(before())
    const [layer, kept] = [await commitBlob('gc/count', 'counted-layer'), await commitBlob('gc/count', 'kept')]
    await push(pushOf('gc/count', 'gc count image', { tags: ['v1'], references: [blob(kept, 4)] }))
    passSeconds(1)
    const garbage = await facts().garbage(before())
    assert.deepEqual([garbage.count - earlier.count, garbage.bytes - earlier.bytes], [1, 13])
    assert.equal((await facts().judge('gc/count', [layer, kept], { before: before() })).unlinked, 1)
    assert.deepEqual(await facts().garbage(before()), earlier)
    assert.equal((await facts().stored(3)).count, 3)
    assert.equal(await facts().countManifests(2), 2)
  })

  it('the bytes that would go are those nobody would hold any more, each blob once', async () => {
    passSeconds(1)
    const [garbage, trash] = [await facts().garbage(before()), await facts().trash(before())]
    const text = 'in three repositories'
    for (const name of ['gc/one', 'gc/two', 'gc/three']) await commitBlob(name, text)
    const elsewhere = await commitBlob('gc/one', 'kept elsewhere')
    await commitBlob('gc/two', 'kept elsewhere')
    await push(pushOf('gc/two', 'gc keeps it', { tags: ['v1'], references: [blob(elsewhere, 14)] }))
    passSeconds(1)
    const found = await facts().garbage(before())
    assert.deepEqual([found.count - garbage.count, found.bytes - garbage.bytes], [4, text.length])

    // The same of what only images of the trash refer to.
    const digests = new Map<string, Digest>()
    for (const name of ['gc/one', 'gc/two', 'gc/three'])
      digests.set(name, await push(pushOf(name, `gc ${name}`, { references: [blob(digestOf(Buffer.from(text)), 21)] })))
    const remove = async (name: string) => {
      await store().manifests.delete(name, digests.get(name)!, actor)
      passSeconds(1)
      return (await facts().trash(before())).bytes - trash.bytes
    }
    assert.equal(await remove('gc/one'), 'gc gc/one'.length)
    assert.equal(await remove('gc/two'), 'gc gc/one'.length + 'gc gc/two'.length)
    assert.equal(await remove('gc/three'), 'gc gc/onegc gc/twogc gc/three'.length + text.length)
  })
}
