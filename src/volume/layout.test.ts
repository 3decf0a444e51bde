import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../oci/digest.ts'
import {
  currentLink,
  digestIn,
  indexLink,
  isTag,
  layerLink,
  mayHoldRepository,
  parseLink,
  revisionLink,
} from './layout.ts'

const digest = digestOf(Buffer.from('x'))
const hex = digest.slice(7)

describe('a link', () => {
  it('lies where registry:2 has it', () => {
    const below = 'docker/registry/v2/repositories/a/b'
    assert.equal(layerLink('a/b', digest), `${below}/_layers/sha256/${hex}/link`)
    assert.equal(revisionLink('a/b', digest), `${below}/_manifests/revisions/sha256/${hex}/link`)
    assert.equal(currentLink('a/b', 'v1'), `${below}/_manifests/tags/v1/current/link`)
    assert.equal(indexLink('a/b', 'v1', digest), `${below}/_manifests/tags/v1/index/sha256/${hex}/link`)
  })

  it('is read with or without white space around its digest', () => {
    for (const text of [digest, `${digest}\n`, ` ${digest}\r\n `]) assert.equal(parseLink(Buffer.from(text)), digest)
    const long = digestOf(Buffer.from('x'), 'sha512')
    assert.equal(parseLink(Buffer.from(long)), long)
  })

  it('that holds no digest leads nowhere', () => {
    for (const text of ['', ' \n', digest.slice(0, 70), `${digest}0`, digest.toUpperCase(), `md5:${hex}`, `x${digest}`])
      assert.equal(parseLink(Buffer.from(text)), undefined, text)
    assert.equal(parseLink(Buffer.alloc(2000, 32)), undefined)
    assert.equal(parseLink(undefined), undefined)
  })
})

describe('a folder', () => {
  it('is a digest, a tag or a repository by its name alone', () => {
    assert.equal(digestIn('sha256', hex), digest)
    for (const name of [hex.slice(1), `${hex}.tmp`, '..']) assert.equal(digestIn('sha256', name), undefined)
    for (const name of ['v1', '_', 'V.1-x']) assert.ok(isTag(name))
    for (const name of ['.tmp', '-x', 'a b', 'x'.repeat(129)]) assert.ok(!isTag(name), name)
    for (const name of ['a', 'a/b_c/d']) assert.ok(mayHoldRepository(name))
    for (const name of ['A', '..', 'a b']) assert.ok(!mayHoldRepository(name), name)
  })
})
