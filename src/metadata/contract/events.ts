import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../oci/digest.ts'
import { pushOf, type Tools } from './tools.ts'

/** The log of what happened, and the leases of jobs. */
export function testEventsAndJobs({ store, reopen, commitBlob, push, eventsOf, passSeconds, now }: Tools): void {
  describe('the event log', () => {
    it('numbers events in the order they were committed, also those of requests at the same time', async () => {
      const before = (await store().events.after(0, 100_000)).at(-1)?.sequence ?? 0
      await Promise.all(Array.from({ length: 30 }, (_, i) => push(pushOf('events/m', `event ${i}`, { tags: ['v1'] }))))
      const events = await store().events.after(before, 100)
      assert.equal(events.length, 30)
      for (const [i, event] of events.entries()) {
        assert.ok(event.sequence > (events[i - 1]?.sequence ?? before))
        assert.equal(event.type, 'manifest.pushed')
      }
      // The last one in the log is the one that has the tag.
      const last = events.at(-1)!
      assert.equal((await store().manifests.find('events/m', { tag: 'v1' }))?.digest, 'digest' in last && last.digest)
    })

    it('is read in parts', async () => {
      const all = await store().events.after(0, 5)
      assert.equal(all.length, 5)
      assert.deepEqual(await store().events.after(all[1]!.sequence, 2), all.slice(2, 4))
      assert.deepEqual(await store().events.after(Number.MAX_SAFE_INTEGER, 5), [])
    })

    it('forgets what is old and never uses a number again', async () => {
      await commitBlob('events/old', 'old')
      const last = (await store().events.after(0, 100_000)).at(-1)!.sequence
      passSeconds(60)
      await store().events.deleteBefore(now())
      assert.deepEqual(await store().events.after(0, 10), [])
      await reopen()
      const [event] = await eventsOf(() => commitBlob('events/new', 'new'))
      assert.equal(event?.repository, 'events/new')
      assert.ok((await store().events.after(0, 1))[0]!.sequence > last)
      await store().events.deleteBefore(now())
      assert.equal((await store().events.after(0, 10)).length, 1, 'what happened at the moment itself is kept')
    })
  })

  describe('an event that changes no state', () => {
    it('is recorded among the others, with who caused it', async () => {
      const before = await store().events.last()
      const pull = {
        type: 'blob.pulled',
        repository: 'events/p',
        digest: digestOf(Buffer.from('pulled')),
        size: 7,
      } as const
      const by = { name: 'ann', address: '10.0.0.1', method: 'GET', host: 'registry', agent: 'tester' }
      await store().events.record([
        { ...pull, actor: by },
        { ...pull, actor: { name: '', address: '' } },
      ])
      const [first, second, ...more] = await store().events.after(before, 10)
      assert.deepEqual(more, [])
      assert.deepEqual(first, { ...pull, actor: by, at: now().toISOString(), sequence: before + 1 })
      assert.equal(await store().events.last(), second?.sequence)
    })
  })

  describe('the newest event', () => {
    it('keeps its number also when it was forgotten', async () => {
      await commitBlob('events/newest', 'newest')
      const last = await store().events.last()
      assert.equal((await store().events.after(last - 1, 10)).length, 1)
      passSeconds(60)
      await store().events.deleteBefore(now())
      assert.equal(await store().events.last(), last)
    })
  })

  describe('a cursor', () => {
    it('is kept by name, also when the store is opened again', async () => {
      assert.equal(await store().cursors.get('one'), undefined)
      await store().cursors.set('one', 7)
      await store().cursors.set('two', 0)
      passSeconds(5)
      await store().cursors.set('one', 8)
      await reopen()
      assert.deepEqual(await store().cursors.get('one'), { sequence: 8, movedAt: now() })
      assert.equal((await store().cursors.get('two'))?.sequence, 0)
      assert.deepEqual(await store().cursors.names(), ['one', 'two'])
      for (const name of ['one', 'two', 'none']) await store().cursors.delete(name)
      assert.deepEqual(await store().cursors.names(), [])
    })

    it('keeps the events it has yet to pass, unless it has stopped', async () => {
      for (const text of ['first', 'second', 'third']) await commitBlob('events/kept', text)
      const events = (await store().events.after(0, 100_000)).slice(-3)
      await store().cursors.set('reader', events[0]!.sequence)
      await store().cursors.set('faster', events[1]!.sequence)
      passSeconds(60)
      await store().events.deleteBefore(now())
      assert.deepEqual(await store().events.after(0, 10), events.slice(1))
      await store().cursors.set('reader', -1)
      await store().events.deleteBefore(now())
      assert.deepEqual(await store().events.after(0, 10), events.slice(2))
      for (const name of ['reader', 'faster']) await store().cursors.delete(name)
    })
  })

  describe('a job', () => {
    it('is claimed by one at a time', async () => {
      const claims = await Promise.all([1, 2, 3, 4, 5].map((node) => store().jobs.claim('one', `node ${node}`, 60)))
      assert.deepEqual(claims.toSorted(), [false, false, false, false, true])
    })

    it('is free again when its lease runs out', async () => {
      assert.equal(await store().jobs.claim('lease', 'me', 60), true)
      passSeconds(59)
      assert.equal(await store().jobs.claim('lease', 'another', 60), false)
      passSeconds(1)
      assert.equal(await store().jobs.claim('lease', 'another', 60), true)
    })

    it('is held for longer by who holds it, and given back by nobody else', async () => {
      assert.equal(await store().jobs.claim('longer', 'me', 60), true)
      passSeconds(59)
      assert.equal(await store().jobs.claim('longer', 'me', 60), true)
      passSeconds(59)
      await store().jobs.release('longer', 'another', 0)
      assert.equal(await store().jobs.claim('longer', 'another', 60), false)
      await store().jobs.release('longer', 'me', 0)
      assert.equal(await store().jobs.claim('longer', 'another', 60), true)
    })

    it('is due again some time after it was given back, also after the store was opened again', async () => {
      assert.equal(await store().jobs.claim('due', 'me', 3600), true)
      await store().jobs.release('due', 'me', 100)
      assert.equal(await store().jobs.claim('due', 'me', 3600), false)
      await reopen()
      passSeconds(99)
      assert.equal(await store().jobs.claim('due', 'me', 3600), false)
      passSeconds(1)
      assert.equal(await store().jobs.claim('due', 'me', 3600), true)
    })

    it('does not wait for another', async () => {
      assert.equal(await store().jobs.claim('this', 'me', 60), true)
      assert.equal(await store().jobs.claim('that', 'me', 60), true)
    })
  })
}
