import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Tools } from './tools.ts'

/** What sign-in keeps. */
export function testVault({ store, reopen, passSeconds, now }: Tools): void {
  const later = (seconds: number) => new Date(now().getTime() + seconds * 1000)
  const vault = () => store().vault

  describe('the vault', () => {
    it('keeps what is added until it is deleted, also when the store is opened again', async () => {
      assert.equal(await vault().get('keys', 'a'), undefined)
      assert.equal(await vault().add('keys', 'a', { text: 'one', endsAt: undefined }), true)
      await reopen()
      assert.deepEqual(await vault().get('keys', 'a'), { text: 'one', endsAt: undefined })
      assert.equal(await vault().get('others', 'a'), undefined)
      await vault().delete('keys', 'a')
      assert.equal(await vault().get('keys', 'a'), undefined)
      await vault().delete('keys', 'a')
    })

    it('takes an id once, of many at once one', async () => {
      const attempts = Array.from({ length: 20 }, (_, i) =>
        vault().add('once', 'a', { text: `${i}`, endsAt: later(10) }),
      )
      const taken = await Promise.all(attempts)
      assert.equal(taken.filter(Boolean).length, 1)
      assert.equal((await vault().get('once', 'a'))?.text, `${taken.indexOf(true)}`)
    })

    it('lists a kind in order, without what has ended', async () => {
      for (const id of ['b', 'a', 'c'])
        await vault().add('list', id, { text: id, endsAt: id === 'b' ? later(10) : undefined })
      assert.deepEqual(
        (await vault().list('list')).map(({ id }) => id),
        ['a', 'b', 'c'],
      )
      passSeconds(10)
      assert.deepEqual(
        (await vault().list('list')).map(({ id }) => id),
        ['a', 'c'],
      )
    })

    it('replaces a text only where it is still the one that was read', async () => {
      await vault().add('replaced', 'a', { text: 'one', endsAt: later(10) })
      const attempts = ['two', 'three'].map((text) => vault().replace('replaced', 'a', 'one', text))
      const done = await Promise.all(attempts)
      assert.equal(done.filter(Boolean).length, 1)
      assert.deepEqual(await vault().get('replaced', 'a'), { text: done[0] ? 'two' : 'three', endsAt: later(10) })
      assert.equal(await vault().replace('replaced', 'b', '', 'one'), false)
      await vault().delete('replaced', 'a')
    })

    it('forgets what has ended, and gives its id to another', async () => {
      await vault().add('ends', 'a', { text: 'one', endsAt: later(10) })
      assert.equal(await vault().add('ends', 'a', { text: 'two', endsAt: later(10) }), false)
      await vault().extend('ends', 'a', later(20))
      passSeconds(10)
      assert.equal((await vault().get('ends', 'a'))?.text, 'one')
      passSeconds(10)
      assert.equal(await vault().get('ends', 'a'), undefined)
      assert.equal(await vault().add('ends', 'a', { text: 'two', endsAt: later(10) }), true)
      passSeconds(10)
      await vault().sweep()
      await vault().extend('ends', 'a', undefined)
      assert.equal(await vault().get('ends', 'a'), undefined)
    })
  })
}
