import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { compilePatterns } from './patterns.ts'
import { compileRegex } from './regex.ts'

describe('patterns of tags', () => {
  for (const [pattern, text, fits] of [
    ['v*', 'v1.0', true],
    ['v*', 'dev', false],
    ['?.0', '1.0', true],
    ['prod/**', 'prod/a/b', true],
    ['/^v\\d+$/', 'v12', true],
    ['/^v\\d+$/', 'v12a', false],
    ['/[a-c]{2,3}/', 'xxabx', true],
    ['/^(a|bc)+$/', 'abcbca', true],
    ['/^(?:pr|mr)-[^-]+$/', 'mr-12', true],
    ['/\\./', 'v1', false],
    ['/^[]a]+$/', 'a]', true],
  ] as const)
    it(`${pattern} ${fits ? 'fits' : 'does not fit'} ${text}`, () => {
      assert.equal(compilePatterns([pattern])(text), fits)
    })

  for (const pattern of [
    '',
    '/',
    '//',
    '/a',
    '/(/',
    '/)/',
    '/*/',
    '/a**/',
    '/a{3,2}/',
    '/a{999}/',
    '/(?=a)/',
    '/\\1/',
    '/[z-a]/',
  ])
    it(`${pattern || 'nothing'} is none`, () => {
      assert.throws(() => compilePatterns([pattern]), /is no pattern|is no regular expression/)
    })

  it('take no longer for those that make others explode', () => {
    const begun = performance.now()
    for (const source of ['(a*)*b', '(a|a)*b', '(a|aa)+b', 'a?'.repeat(60) + 'a'.repeat(60) + 'b', '(.*)(.*)(.*)(.*)b'])
      assert.equal(compileRegex(source)('a'.repeat(128)), false)
    assert.throws(() => compileRegex('((a{100}){100}){100}'), /too many/)
    assert.ok(performance.now() - begun < 1500)
  })

  it('say what the regular expressions of JavaScript say', () => {
    const part = fc.oneof(
      fc.constantFrom('a', 'b', '-', '.', '\\d', '[ab]', '[^a]', '\\.'),
      fc.constantFrom('a*', 'b+', '.?', '[ab]{1,2}', 'a{2}', '\\w{0,}'),
    )
    const sequence = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(''))
    const group = fc
      .tuple(sequence, sequence, sequence, fc.constantFrom('', '?', '{0,2}', '+', '*'))
      .map(([a, b, c, times]) => `(${a}|${b}|${c})${times}`)
    const source = fc
      .tuple(fc.constantFrom('', '^'), fc.array(fc.oneof(sequence, group), { maxLength: 3 }), fc.constantFrom('', '$'))
      .map(([begin, parts, end]) => begin + parts.join('') + end)
    const text = fc.array(fc.constantFrom('a', 'b', '-', '.', '1'), { maxLength: 8 }).map((letters) => letters.join(''))
    fc.assert(
      fc.property(source, text, (pattern, given) => {
        assert.equal(compileRegex(pattern)(given), new RegExp(pattern).test(given), `/${pattern}/ ${given}`)
      }),
      { numRuns: 3000 },
    )
  })
})
