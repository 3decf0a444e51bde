import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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

  describe('a cursor', () => {
    it('is where it was moved to, also after the store is opened again', async () => {
      assert.equal(await store().events.cursor('reader'), undefined)
      await store().events.moveCursor('reader', 5)
      await store().events.moveCursor('reader', 7)
      const movedAt = now()
      passSeconds(60)
      await reopen()
      assert.deepEqual(await store().events.cursor('reader'), { sequence: 7, movedAt })
      assert.equal(await store().events.cursor('other'), undefined)
    })

    it('keeps the events it has yet to pass, unless it has stopped', async () => {
      for (const text of ['first', 'second', 'third']) await commitBlob('events/kept', text)
      const events = (await store().events.after(0, 100_000)).slice(-3)
      await store().events.moveCursor('reader', events[0]!.sequence)
      await store().events.moveCursor('faster', events[1]!.sequence)
      passSeconds(60)
      await store().events.deleteBefore(now())
      assert.deepEqual(await store().events.after(0, 10), events.slice(1))
      await store().events.moveCursor('reader', -1)
      await store().events.deleteBefore(now())
      assert.deepEqual(await store().events.after(0, 10), events.slice(2))
      await store().events.moveCursor('faster', -1)
    })
  })

  describe('a job', () => {
    it('is claimed by one at a time', async () => {
      const claims = await Promise.all(Array.from({ length: 5 }, () => store().jobs.claim('one', 60)))
      assert.deepEqual(claims.toSorted(), [false, false, false, false, true])
    })

    it('is free again when its lease runs out', async () => {
      assert.equal(await store().jobs.claim('lease', 60), true)
      passSeconds(59)
      assert.equal(await store().jobs.claim('lease', 60), false)
      passSeconds(1)
      assert.equal(await store().jobs.claim('lease', 60), true)
    })

    it('is due again some time after it was given back, also after the store was opened again', async () => {
      assert.equal(await store().jobs.claim('due', 3600), true)
      await store().jobs.release('due', 100)
      assert.equal(await store().jobs.claim('due', 3600), false)
      await reopen()
      passSeconds(99)
      assert.equal(await store().jobs.claim('due', 3600), false)
      passSeconds(1)
      assert.equal(await store().jobs.claim('due', 3600), true)
    })

    it('does not wait for another', async () => {
      assert.equal(await store().jobs.claim('this', 60), true)
      assert.equal(await store().jobs.claim('that', 60), true)
    })
  })
}
