import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { algorithmOf, createDigester, digestOf, hexOf, isDigest, parseAlgorithm, parseDigest } from './digest.ts'
import { OciError } from './errors.ts'

const algorithm = fc.constantFrom('sha256', 'sha512')
const refused = (error: unknown) => error instanceof OciError && error.code === 'DIGEST_INVALID'

describe('a digest', () => {
  it('of any content is one, and tells its algorithm and hex digits', () => {
    fc.assert(
      fc.property(fc.uint8Array(), algorithm, (content, name) => {
        const digest = digestOf(content, name)
        assert.equal(digest, `${name}:${createHash(name).update(content).digest('hex')}`)
        assert.equal(parseDigest(digest), digest)
        assert.equal(`${algorithmOf(digest)}:${hexOf(digest)}`, digest)
      }),
    )
  })

  it('is the same piece by piece, and may be asked in between', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), algorithm, (pieces, name) => {
        const digester = createDigester(name)
        for (const [i, piece] of pieces.entries()) {
          digester.update(piece)
          assert.equal(digester.digest(), digestOf(Buffer.concat(pieces.slice(0, i + 1)), name))
        }
        assert.equal(digester.digest(), digestOf(Buffer.concat(pieces), name))
      }),
    )
  })

  const hex = 'ab'.repeat(32)
  for (const text of [
    '',
    'sha256',
    'sha256:',
    hex,
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `sha256:${hex}a`,
    `sha256:${hex.slice(1)}`,
    `sha512:${hex}`,
    `sha256:${hex}${hex}`,
    `sha384:${'a'.repeat(96)}`,
    `md5:${'a'.repeat(32)}`,
    ` sha256:${hex}`,

    `sha256:${hex}\n`,
    `sha256:${hex.slice(1)}g`,
    `sha256+b64:${hex}`,
    `sha256:../${hex.slice(3)}`,
    `sha512:${'a'.repeat(9999)}`,
  ]) {
    it(`is not ${JSON.stringify(text.slice(0, 20))} of ${text.length} characters`, () => {
      assert.equal(isDigest(text), false)
      assert.throws(() => parseDigest(text), refused)
    })
  }

  it('uses sha256 or sha512 and nothing else', () => {
    assert.equal(parseAlgorithm('sha256'), 'sha256')
    assert.equal(parseAlgorithm('sha512'), 'sha512')
    for (const name of ['', 'sha1', 'SHA256', 'sha384', '__proto__']) assert.throws(() => parseAlgorithm(name), refused)
  })
})
