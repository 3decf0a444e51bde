import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { namesEntity, parseContentRange, parseRange } from './range.ts'

const size = fc.nat({ max: 10_000 })

describe('parseRange', () => {
  it('gives only bytes that are there', () => {
    const bound = fc.oneof(fc.constant(''), fc.nat(12_000).map(String), fc.bigInt({ min: 0n }).map(String))
    fc.assert(
      fc.property(bound, bound, size, (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size)
        if (typeof range === 'string') return
        assert.ok(0 <= range.first && range.first <= range.last && range.last < size)
      }),
      { numRuns: 2000 },
    )
  })

  it('gives the asked bytes, cut at the end', () => {
    fc.assert(
      fc.property(size, size, size, (first, length, size) => {
        const last = first + length
        const expected = first < size ? { first, last: Math.min(last, size - 1) } : 'unsatisfiable'
        assert.deepEqual(parseRange(`bytes=${first}-${last}`, size), expected)
      }),
    )
  })

  it('takes a suffix from the end', () => {
    fc.assert(
      fc.property(size, size, (length, size) => {
        const expected =
          Math.min(length, size) === 0 ? 'unsatisfiable' : { first: Math.max(0, size - length), last: size - 1 }
        assert.deepEqual(parseRange(`bytes=-${length}`, size), expected)
      }),
    )
  })

  it('ignores whatever else there is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (!/^bytes=\d*-\d*$/.test(text)) assert.equal(parseRange(text, 100), 'whole')
      }),
    )
    for (const header of [undefined, 'bytes=-', 'bytes=0-1,2-3', 'Bytes=0-1', 'bytes = 0-1', 'bytes=1'])
      assert.equal(parseRange(header, 100), 'whole')
  })
})

describe('parseContentRange', () => {
  it('reads first and last byte', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)]
        assert.deepEqual(parseContentRange(`${first}-${last}`), { first, last })
        if (first < last) assert.equal(parseContentRange(`${last}-${first}`), undefined)
      }),
    )
  })

  for (const header of [
    '',
    '-',
    '0-',
    '-1',
    'bytes 0-1',
    'bytes=0-1',
    '0-1/2',
    '0-1 ',
    '+0-1',
    '0-99999999999999999',
  ]) {
    it(`does not read "${header}"`, () => assert.equal(parseContentRange(header), undefined))
  }
})

describe('namesEntity', () => {
  for (const [header, named] of [
    [undefined, false],
    ['', false],
    ['"sha256:a"', true],
    ['sha256:a', true],
    ['W/"sha256:a"', true],
    ['*', true],
    ['"x" , W/"sha256:a"', true],
    ['"sha256:b"', false],
    ['"sha256:ab"', false],
  ] as const) {
    it(`${named ? 'finds' : 'does not find'} the tag in ${header}`, () => {
      assert.equal(namesEntity(header, 'sha256:a'), named)
    })
  }
})
