import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PageCache } from './page-cache.ts'

describe('the page cache', () => {
  const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  /** How many calls are made elsewhere before one may be synchronous again. */
  const away = (pageCache: PageCache) => {
    for (let calls = 0; ; calls++) if (pageCache.mayAnswer()) return calls
  }

  it('is asked again and again while it answers quickly', () => {
    const pageCache = new PageCache({ slowMs: 1000, least: 2, most: 4 })
    for (let i = 0; i < 3; i++) {
      assert.equal(away(pageCache), 0)
      assert.equal(
        pageCache.call(() => 7),
        7,
      )
    }
  })

  it('is left alone for a while after a slow call, for longer each time', () => {
    const pageCache = new PageCache({ slowMs: 1, least: 2, most: 4 })
    const waits = [1, 2, 3].map(() => {
      pageCache.call(wait)
      return away(pageCache)
    })
    assert.deepEqual(waits, [2, 4, 4])
  })
})
