import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Tools } from './tools.ts'

/** What nodes count together. */
export function testTallies({ store, passSeconds }: Tools): void {
  const tallies = () => store().tallies
  const totalOf = async (name: string, step = 0, leftMs = 60_000) => {
    const [found] = await tallies().settle([{ name, step, leftMs }])
    return found && [found.total, found.leftMs]
  }

  describe('tallies', () => {
    it('add up what many count at once, and begin anew when the window has ended', async () => {
      assert.equal(await totalOf('pulls a'), undefined, 'to ask counts nothing')
      const steps = (step: number) => ['pulls a', 'pulls b'].map((name) => ({ name, step, leftMs: 60_000 }))
      await Promise.all([1, 2, 3, 4].map((step) => tallies().settle(step % 2 ? steps(step) : steps(step).toReversed())))
      assert.deepEqual(await totalOf('pulls a'), [10, 60_000])
      assert.deepEqual(await totalOf('pulls b', -1), [9, 60_000])
      passSeconds(20)
      assert.deepEqual(await totalOf('pulls a', 1), [11, 40_000], 'the first one has begun the window')
      passSeconds(40)
      assert.equal(await totalOf('pulls a'), undefined)
      assert.deepEqual(await totalOf('pulls a', 2, 5000), [2, 5000])
      passSeconds(5)
    })

    it('take names of any length and letters', async () => {
      for (const name of ['', '\0', "'; drop table tally; --", 'x'.repeat(20_000), '\u{1F600}'])
        assert.deepEqual(await totalOf(name, 1), [1, 60_000])
    })

    it('let as many at once try as one after the other, then each pause is twice as long', async () => {
      const [own, network] = ['192.0.2.1 ann', '192.0.2.1']
      const all = [
        { name: own, free: 2, maxMs: 3000 },
        { name: network, free: 50, maxMs: 1000 },
      ]
      const begin = (patience = all) => tallies().begin(patience)
      const waits = await Promise.all(Array.from({ length: 8 }, (_, i) => begin(i % 2 ? all : all.toReversed())))
      // Two cost nothing; the third one begins the first pause.
      assert.deepEqual(waits.toSorted(), [0, 0, 0, 1000, 1000, 1000, 1000, 1000])
      passSeconds(1)
      assert.deepEqual([await begin(), await begin()], [0, 2000])
      passSeconds(2)
      assert.deepEqual([await begin(), await begin()], [0, 3000])
      assert.equal(await begin([{ name: 'another', free: 2, maxMs: 3000 }]), 0)
      await tallies().takeBack([own, network], [own])
      assert.deepEqual([await begin(), await begin(), await begin(), await begin()], [0, 0, 0, 1000])
      passSeconds(3600)
      assert.deepEqual([await begin(), await begin(), await begin(), await begin()], [0, 0, 0, 1000])
      await tallies().takeBack([own, network], [])
      assert.deepEqual([await begin(), await begin()], [0, 1000])
    })

    it('are forgotten when they have ended', async () => {
      await totalOf('kept', 1, 30_000)
      passSeconds(20)
      await tallies().sweep()
      assert.deepEqual(await totalOf('kept'), [1, 10_000])
      passSeconds(10)
      await tallies().sweep()
      assert.equal(await totalOf('kept'), undefined)
    })
  })
}
