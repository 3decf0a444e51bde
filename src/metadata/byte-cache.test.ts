import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { createByteCache } from './byte-cache.ts'

describe('the byte cache', () => {
  it('gives what was set last, until it is deleted', () => {
    const cache = createByteCache<string>(1000)
    cache.set('a', 'one', 10)
    cache.set('a', 'two', 10)
    assert.equal(cache.get('a'), 'two')
    cache.delete('a')
    cache.delete('a')
    assert.equal(cache.get('a'), undefined)
  })

  it('forgets the oldest when it is full', () => {
    const cache = createByteCache<number>(100)
    for (let i = 0; i < 6; i++) cache.set(`${i}`, i, 25)
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((i) => cache.get(`${i}`)),
      [undefined, undefined, 2, 3, 4, 5],
    )
  })

  it('does not keep what would push out almost everything else, nor what stood there before', () => {
    const cache = createByteCache<string>(100)
    cache.set('a', 'small', 10)
    cache.set('a', 'large', 26)
    assert.equal(cache.get('a'), undefined)
  })

  it('never holds more than it may, and never a wrong value', () => {
    const step = fc.record({ key: fc.constantFrom(...'abcdefgh'), bytes: fc.nat(60), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const cache = createByteCache<{ bytes: number }>(100)
        const last = new Map<string, { bytes: number }>()
        for (const { key, bytes, remove } of steps) {
          const value = { bytes }
          if (remove) cache.delete(key)
          else cache.set(key, value, bytes)
          if (remove) last.delete(key)
          else last.set(key, value)
          const held = [...'abcdefgh'].map((name) => cache.get(name))
          assert.ok(held.reduce((sum, entry) => sum + (entry?.bytes ?? 0), 0) <= 100)
          for (const [i, entry] of held.entries()) if (entry) assert.equal(entry, last.get('abcdefgh'[i]!))
        }
      }),
    )
  })
})
