import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { digestOf } from './digest.ts'
import { OciError } from './errors.ts'
import { isRepository, parseReference, parseRepository, parseTag } from './reference.ts'

// The grammars as the specification writes them, which ours must agree with.
const specifiedName = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/
const specifiedTag = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const pieces = (...characters: string[]) =>
  fc.array(fc.constantFrom(...characters), { maxLength: 12 }).map((parts) => parts.join(''))
const codeOf = (code: string) => (error: unknown) => error instanceof OciError && error.code === code

describe('a repository name', () => {
  it('is what the specification says', () => {
    fc.assert(
      fc.property(pieces('a', 'z', '0', 'abc', '.', '_', '__', '-', '--', '/', 'A', ' ', '%', 'é'), (text) => {
        assert.equal(isRepository(text), specifiedName.test(text), JSON.stringify(text))
      }),
      { numRuns: 3000 },
    )
  })

  it('is never a path that leads out of a folder', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (!isRepository(text)) return
        assert.ok(text.split('/').every((part) => part !== '' && part !== '.' && part !== '..'))
      }),
    )
  })

  it('has at most 255 characters and is no image id', () => {
    assert.equal(parseRepository('a'.repeat(255)), 'a'.repeat(255))
    assert.throws(() => parseRepository('a'.repeat(256)), codeOf('NAME_INVALID'))
    assert.throws(() => parseRepository('0123456789abcdef'.repeat(4)), codeOf('NAME_INVALID'))
    assert.ok(isRepository(`${'ab'.repeat(32)}/app`))
  })

  it('is refused in time that does not explode', { timeout: 2000 }, () => {
    for (const text of [
      `${'a-'.repeat(120)}!`,
      `${'a'.repeat(254)}!`,
      `${'a_'.repeat(100_000)}!`,
      '-'.repeat(1_000_000),
    ])
      assert.equal(isRepository(text), false)
  })
})

describe('a tag', () => {
  it('is what the specification says', () => {
    fc.assert(
      fc.property(pieces('a', 'Z', '0', '.', '_', '-', '+', '/', ' ', '\n', 'ä', 'x'.repeat(40)), (text) => {
        if (specifiedTag.test(text)) assert.equal(parseTag(text), text)
        else assert.throws(() => parseTag(text), codeOf('TAG_INVALID'))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('a reference', () => {
  const digest = digestOf(Buffer.from('x'))
  it('is a digest when it holds a colon and a tag when it does not', () => {
    assert.deepEqual(parseReference(digest), { digest })
    assert.deepEqual(parseReference('v1'), { tag: 'v1' })
    assert.deepEqual(parseReference(digest.slice(7)), { tag: digest.slice(7) })
  })

  for (const [text, code] of [
    ['sha256:x', 'DIGEST_INVALID'],
    ['a:b', 'DIGEST_INVALID'],
    ['-v1', 'TAG_INVALID'],
    ['', 'MANIFEST_INVALID'],
  ] as const) {
    it(`"${text}" is refused as ${code}`, () => assert.throws(() => parseReference(text), codeOf(code)))
  }

  it('that cannot exist is unknown to who only looks', () => {
    assert.throws(() => parseReference('-v1', 'MANIFEST_UNKNOWN'), codeOf('MANIFEST_UNKNOWN'))
    assert.throws(() => parseReference('sha256:x', 'MANIFEST_UNKNOWN'), codeOf('DIGEST_INVALID'))
  })
})
