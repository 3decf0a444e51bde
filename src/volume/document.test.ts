import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { readDocument } from './document.ts'

const digest = digestOf(Buffer.from('x'))
const blob = { mediaType: 'a/b', digest, size: 1 }
const typeOf = (document: unknown) =>
  readDocument(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)))?.mediaType

it('takes the media type from the document, else from its shape', () => {
  const schemaVersion = 2
  assert.equal(typeOf({ schemaVersion, mediaType: mediaTypes.dockerImage, config: blob }), mediaTypes.dockerImage)
  assert.equal(typeOf({ schemaVersion, config: blob, layers: [] }), mediaTypes.image)
  assert.equal(typeOf({ schemaVersion, manifests: [] }), mediaTypes.index)
  assert.equal(typeOf({ schemaVersion: 1 }), 'application/vnd.docker.distribution.manifest.v1+prettyjws')
})

it('serves what Holdfast would refuse today, with what it refers to', () => {
  const twice = `{"schemaVersion":2,"schemaVersion":2,"config":${JSON.stringify(blob)},"layers":[{"digest":1}]}`
  assert.equal(typeOf(twice), mediaTypes.image)
  assert.deepEqual(readDocument(Buffer.from(twice))?.references, [{ digest, size: 1, kind: 'blob' }])
})

it('knows what is no manifest', () => {
  for (const text of ['', 'layer', '{}', '[]', 'null', '{"schemaVersion":3}'])
    assert.equal(typeOf(text), undefined, text)
})
