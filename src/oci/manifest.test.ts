import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { digestOf } from './digest.ts'
import { OciError } from './errors.ts'
import { parseManifest } from './manifest.ts'
import { mediaTypes } from './media-types.ts'

const descriptor = (text: string, mediaType = 'application/octet-stream') => ({
  mediaType,
  digest: digestOf(Buffer.from(text)),
  size: text.length,
})
const [config, one, two] = [descriptor('config', 'a/config'), descriptor('one'), descriptor('two')]
const image = { schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [one, two] }
const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [one, two] }
const parse = (document: unknown, contentType?: string) =>
  parseManifest(Buffer.from(JSON.stringify(document)), contentType)
const refused = (error: unknown) => error instanceof OciError && error.code === 'MANIFEST_INVALID'

describe('parseManifest', () => {
  it('reads an image: its config first, then its layers', () => {
    const { digest, size } = one
    assert.deepEqual(parse(image), {
      mediaType: mediaTypes.image,
      kind: 'image',
      artifactType: 'a/config',
      subject: undefined,
      annotations: undefined,
      references: [
        { digest: config.digest, size: config.size, kind: 'blob' },
        { digest, size, kind: 'blob' },
        { digest: two.digest, size: two.size, kind: 'blob' },
      ],
      urls: [],
    })
  })

  it('reads an index: its manifests as children', () => {
    const { kind, references, artifactType } = parse(index)
    assert.deepEqual([kind, artifactType], ['index', undefined])
    assert.deepEqual(
      references.map((reference) => reference.kind),
      ['child', 'child'],
    )
  })

  it('reads an artifact: its blobs', () => {
    const { kind, references } = parse({ mediaType: mediaTypes.artifact, artifactType: 'a/b', blobs: [one] })
    assert.deepEqual([kind, references.length], ['artifact', 1])
  })

  it('asks for no layer that is fetched from elsewhere', () => {
    const foreign = [
      'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    ].map((type) => ({ ...descriptor(type, type), urls: ['https://example.org/'] }))
    assert.deepEqual(
      parse({ ...image, layers: [...foreign, one] }).references.map(({ digest }) => digest),
      [config.digest, one.digest],
    )
  })

  it('tells subject, annotations and artifact type', () => {
    const annotations = { a: 'b' }
    const parsed = parse({ ...image, subject: one, annotations, artifactType: 'a/own' })
    assert.deepEqual(
      [parsed.subject, { ...parsed.annotations }, parsed.artifactType],
      [one.digest, annotations, 'a/own'],
    )
  })

  for (const [what, mediaType, contentType, expected] of [
    ['the type of both', mediaTypes.image, mediaTypes.image, mediaTypes.image],
    ['its own type', mediaTypes.dockerImage, undefined, mediaTypes.dockerImage],
    ['the Content-Type', undefined, mediaTypes.dockerImage, mediaTypes.dockerImage],
    ['the type of its shape', undefined, undefined, mediaTypes.image],
    ['the Content-Type when its own is empty', '', mediaTypes.image, mediaTypes.image],
  ] as const) {
    it(`takes ${what}`, () => assert.equal(parse({ ...image, mediaType }, contentType).mediaType, expected))
  }

  it('takes a document with manifests for an index', () => {
    assert.equal(parse({ ...index, mediaType: undefined }).mediaType, mediaTypes.index)
  })

  it('refuses more than 10,000 descriptors', () => {
    const layers = (length: number) => Array.from({ length }, () => one)
    assert.equal(parse({ ...image, layers: layers(10_000) }).references.length, 10_001)
    assert.throws(() => parse({ ...image, layers: layers(10_001) }), refused)
  })

  it('refuses every other value in the place of a known one, and never fails otherwise', () => {
    const keys = [
      'schemaVersion',
      'config',
      'layers',
      'subject',
      'annotations',
      'mediaType',
      'artifactType',
      'manifests',
    ]
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => {
        try {
          parse({ ...image, [key]: value })
        } catch (error) {
          assert.ok(refused(error))
        }
      }),
      { numRuns: 500 },
    )
  })

  for (const key of ['Config', 'LAYERS', 'mediatype', 'Subject', 'artifacttype']) {
    it(`refuses the key ${key}, which some readers take for another`, () => {
      assert.throws(() => parse({ ...image, [key]: 'x' }), refused)
    })
  }
})
