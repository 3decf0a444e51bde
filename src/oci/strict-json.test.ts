import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { OciError } from './errors.ts'
import { parseStrictJson } from './strict-json.ts'

const parse = (text: string) => parseStrictJson(Buffer.from(text))
const isRefusal = (error: unknown) => error instanceof OciError && error.code === 'MANIFEST_INVALID'

/** JSON as JSON.stringify would hold it, with integers that a double holds exactly. */
const anyJson = fc.jsonValue({ maxDepth: 6 }).filter((value) => isSafe(value))

function isSafe(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isInteger(value) || Number.isSafeInteger(value)
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isSafe(item))
}

describe('parseStrictJson', () => {
  it('reads what JSON.stringify writes as JSON.parse does', () => {
    fc.assert(
      fc.property(anyJson, fc.constantFrom(undefined, 1, '\t', ' \n\r'), (value, space) => {
        const text = JSON.stringify(value, undefined, space)
        assert.deepEqual(plain(parse(text)), plain(JSON.parse(text)))
      }),
    )
  })

  it('accepts no text that JSON.parse refuses, and reads nothing differently', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      '-0',
      '01',
      '1.',
      '.5',
      '1e5',
      '-',
      'true',
      'null',
      'nul',
      ' ',
      '\n',
      '"\\u0061"',
      '"\\x"',
      '"\t"',
      '"',
      '\u00a0',
      '{}',
      '[]',
      '+1',
      "'a'",
      '/**/',
      'NaN',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
        const text = tokens.join('')
        let strict: unknown
        try {
          strict = parse(text)
        } catch (error) {
          return assert.ok(isRefusal(error))
        }
        assert.deepEqual(plain(strict), plain(JSON.parse(text)))
      }),
      { numRuns: 3000 },
    )
  })

  it('never throws anything but a refusal, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          parseStrictJson(bytes)
        } catch (error) {
          assert.ok(isRefusal(error))
        }
      }),
    )
  })

  it('refuses every key that is there twice, however it is written', () => {
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.integer()), (key, others) => {
        const written = JSON.stringify(key)
        const escaped = `"${Array.from(key, (unit) => [...unit].map((c) => escape(c)).join('')).join('')}"`
        const rest = Object.entries(others).map(([name, value]) => `${JSON.stringify(name)}:${value}`)
        const text = `{${[`${written}:1`, ...rest, `${escaped}:2`].join(',')}}`
        assert.throws(() => parse(text), isRefusal)
      }),
    )
  })

  it('keeps keys that JavaScript objects have anyway apart from them', () => {
    const object = parse('{"__proto__":1,"constructor":2,"toString":3}')
    assert.deepEqual(Object.keys(object as object), ['__proto__', 'constructor', 'toString'])
    assert.throws(() => parse('{"__proto__":1,"__proto__":2}'), isRefusal)
  })

  it('refuses nesting deeper than 64', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    assert.doesNotThrow(() => parse(nested(64)))
    for (const depth of [66, 1000, 1_000_000]) assert.throws(() => parse(nested(depth)), isRefusal)
    assert.throws(() => parse('{"a":'.repeat(70) + '1' + '}'.repeat(70)), isRefusal)
  })

  for (const [what, text] of [
    ['an integer no double holds', '9007199254740992'],
    ['a negative one', '-9007199254740993'],
    ['one with an exponent', '1e300'],
    ['a number beyond all', '1e999'],
    ['a byte order mark', '\ufeff{}'],
    ['text after the document', '{} {}'],
    ['a comma at the end', '[1,]'],
    ['a control character in a string', '"\u0001"'],
    ['a leading zero', '01'],
    ['nothing', ''],
    ['only space', ' \n'],
  ] as const) {
    it(`refuses ${what}`, () => assert.throws(() => parse(text), isRefusal))
  }

  for (const [what, bytes] of [
    ['a byte that starts nothing', [0x22, 0xff, 0x22]],
    ['half a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['a cut sequence', [0x22, 0xe2, 0x82, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ] as const) {
    it(`refuses ${what} as no UTF-8`, () => assert.throws(() => parseStrictJson(Uint8Array.from(bytes)), isRefusal))
  }

  it('names the problem', () => {
    assert.throws(() => parse('{"a":1,"a":2}'), /duplicate key/)
  })
})

function escape(character: string): string {
  return Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
    .map((code) => `\\u${code.toString(16).padStart(4, '0')}`)
    .join('')
}

/** The same value with ordinary objects, so that values with and without prototype compare. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}
