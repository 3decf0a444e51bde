import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codesOf, digestOf, makeImage, makeIndex, types, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const repository = 'validation/app'
const image = await makeImage(registry, repository)
const [layer] = image.layers
await registry.putManifest(repository, 'seed', image)
const child = { ...makeIndex([image]).manifests[0]! }
const index = { schemaVersion: 2, mediaType: types.index, manifests: [child] }
const put = (document: unknown, type?: string) =>
  registry.putManifest(repository, 'validated', document, type === undefined ? {} : { type })

/** Not only taken: what is served is what was sent. */
async function assertTaken(document: unknown, type?: string): Promise<void> {
  const reply = await put(document, type)
  assert.equal(reply.status, 201, reply.body.toString())
  const got = await registry.call('GET', `/v2/${repository}/manifests/validated`)
  assert.equal(got.body.toString(), typeof document === 'string' ? document : JSON.stringify(document))
}

async function assertRefused(
  document: unknown,
  { type, code = 'MANIFEST_INVALID' }: { type?: string; code?: string } = {},
) {
  const reply = await put(document, type)
  assert.equal(reply.status, 400, reply.body.toString())
  assert.equal(codesOf(reply)[0], code)
}

describe('a manifest is taken', () => {
  const empty = { mediaType: types.empty, digest: digestOf('{}'), size: 2 }
  const { mediaType: _, ...untyped } = image
  for (const [what, document, type] of [
    ['as an OCI image', image],
    ['as an OCI index', index],
    ['as a Docker image', { ...image, mediaType: types.dockerImage }],
    ['as a Docker list', { ...index, mediaType: types.dockerList }],
    [
      'as an artifact of the type withdrawn before 1.1',
      { mediaType: types.artifact, artifactType: 'a/b', blobs: [layer] },
    ],
    ['without mediaType, by its Content-Type', untyped, types.dockerImage],
    ['without mediaType and Content-Type', untyped, ''],
    ['with layers absent', { schemaVersion: 2, mediaType: types.image, config: image.config }],
    ['with layers empty', { ...image, layers: [] }],
    ['with the same layer twice', { ...image, layers: [layer, layer] }],
    ['with manifests empty', { ...index, manifests: [] }],
    ['with the empty config and data', { ...image, config: { ...empty, data: 'e30=' }, artifactType: 'a/b' }],
    ['with the empty config and no artifactType', { ...image, config: empty }],
    ['with an unknown config type', { ...image, config: { ...image.config, mediaType: 'a/b' } }],
    ['with unknown fields', { ...image, 'x-own': { deep: [1, null, true] }, layers: [{ ...layer, own: 1 }] }],
    ['with annotations', { ...image, annotations: { a: 'b', '': '' } }],
    [
      'with a subject that is not there',
      { ...image, subject: { mediaType: types.image, digest: digestOf('no'), size: 3 } },
    ],
    [
      'with a platform of unknown/unknown',
      { ...index, manifests: [{ ...child, platform: { architecture: 'unknown', os: 'unknown' } }] },
    ],
    [
      'with a layer of a type nobody knows',
      { ...image, layers: [{ ...layer, mediaType: 'application/vnd.in-toto+json' }] },
    ],
    ['with spaces and line ends of its own', `\n ${JSON.stringify(image, undefined, '\t')}\r\n `, types.image],
  ] as [what: string, document: unknown, type?: string][]) {
    it(what, () => assertTaken(document, type))
  }

  for (const mediaType of [
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ]) {
    it(`although a layer is elsewhere: ${mediaType}`, async () => {
      const foreign = { mediaType, digest: digestOf('elsewhere'), size: 9, urls: ['https://layers.example/x#part'] }
      await assertTaken({ ...image, layers: [foreign, layer] })
      await assertTaken({ ...image, layers: [{ ...foreign, urls: undefined }] })
    })
  }

  it('as an index of an index', async () => {
    await registry.putManifest(repository, 'inner', index)
    await assertTaken(makeIndex([index, image]))
  })

  it('as an index of blobs, which older build caches are', () =>
    assertTaken({ ...index, manifests: [layer, image.config] }))

  it('with 500 layers', () => assertTaken({ ...image, layers: Array.from({ length: 500 }, () => layer) }))
})

describe('a manifest is refused', () => {
  const text = JSON.stringify(image)
  for (const [what, document, type] of [
    ['that is empty', '', types.image],
    ['that is not JSON', '{', types.image],
    ['that has text after it', `${text}{}`, types.image],
    ['that starts with a byte order mark', `\ufeff${text}`, types.image],
    [
      'that is not UTF-8',
      Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"a":"\xff"}', 'latin1')]),
      types.image,
    ],
    ['that is a list', '[]', types.image],
    ['that is null', 'null', types.image],
    ['that is a string', '"x"', types.image],
    ['without anything in it', '{}', types.image],
    ['with a key twice', text.replace('{', '{"layers":[],'), types.image],
    ['with a key twice, one of them escaped', text.replace('{', '{"l\\u0061yers":[],'), types.image],
    ['with a key twice deep inside', text.replace('"size":2', '"size":2,"size":2'), types.image],
    ['with a key that only case tells apart', text.replace('"layers"', '"Layers"'), types.image],
    ['nested too deep', `${text.slice(0, -1)},"x":${'['.repeat(100)}${']'.repeat(100)}}`, types.image],
    ['of schema version 1', { ...image, schemaVersion: 1 }],
    ['with the schema version as a string', { ...image, schemaVersion: '2' }],
    ['without a schema version', { ...image, schemaVersion: undefined }],
    ['of a type nobody knows', text, 'application/json'],
    ['of Docker schema 1', text, 'application/vnd.docker.distribution.manifest.v1+json'],
    ['of Docker schema 1, signed', text, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    ['whose type is not the Content-Type', image, types.dockerImage],
    ['that is an image with manifests', { ...image, manifests: [] }],
    ['that is an index with a config', { ...index, config: image.config }],
    ['that is an index with layers', { ...index, layers: [] }],
    ['that is an image with blobs', { ...image, blobs: [] }],
    ['that is an image without config', { schemaVersion: 2, mediaType: types.image, layers: [] }],
    ['that is an index without manifests', { schemaVersion: 2, mediaType: types.index }],
    ['with a config that is null', { ...image, config: null }],
    ['with layers that are null', { ...image, layers: null }],
    ['with layers that are an object', { ...image, layers: {} }],
    ['with a layer that is null', { ...image, layers: [null] }],
    ['with a layer without digest', { ...image, layers: [{ ...layer, digest: undefined }] }],
    ['with a layer without size', { ...image, layers: [{ ...layer, size: undefined }] }],
    ['with a layer without type', { ...image, layers: [{ ...layer, mediaType: undefined }] }],
    ['with a bad digest', { ...image, layers: [{ ...layer, digest: 'sha256:bad' }] }],
    ['with a negative size', { ...image, layers: [{ ...layer, size: -1 }] }],
    ['with half a byte', { ...image, layers: [{ ...layer, size: 1.5 }] }],
    ['with a size no double holds', text.replace('"size":2', '"size":9007199254740993'), types.image],
    ['with a size as a string', { ...image, layers: [{ ...layer, size: '32' }] }],
    ['with a size that is not the stored one', { ...image, layers: [{ ...layer, size: 33 }] }],
    ['with a child of the wrong size', { ...index, manifests: [{ ...child, size: child.size + 1 }] }],
    ['with a subject that is a string', { ...image, subject: digestOf('x') }],
    ['with a subject without size', { ...image, subject: { mediaType: types.image, digest: digestOf('x') } }],
    ['with annotations that are a list', { ...image, annotations: [] }],
    ['with an annotation that is a number', { ...image, annotations: { a: 1 } }],
    ['with an artifactType that is no media type', { ...image, artifactType: 'a\r\nb' }],
    ['with a mediaType that is a number', { ...image, mediaType: 2 }, types.image],
  ] as [what: string, document: unknown, type?: string][]) {
    it(what, () => assertRefused(document, { type: type ?? (document as { mediaType: string }).mediaType }))
  }

  for (const [what, make] of [
    ['a layer', (digest: string) => ({ ...image, layers: [layer, { ...layer, digest }] })],
    ['the config', (digest: string) => ({ ...image, config: { ...image.config, digest } })],
    ['a child', (digest: string) => ({ ...index, manifests: [child, { ...child, digest }] })],
  ] as const) {
    it(`when ${what} is missing, and names its digest`, async () => {
      const digest = digestOf(`missing ${what}`)
      const reply = await put(make(digest))
      assert.equal(reply.status, 400)
      assert.deepEqual(codesOf(reply), ['MANIFEST_BLOB_UNKNOWN'])
      assert.match(reply.body.toString(), new RegExp(digest))
    })
  }

  it('naming each missing blob once', async () => {
    const layers = ['1', '2', '3', '2'].map((name) => ({ ...layer, digest: digestOf(name) }))
    assert.deepEqual(
      codesOf(await put({ ...image, layers })),
      Array.from({ length: 3 }, () => 'MANIFEST_BLOB_UNKNOWN'),
    )
  })

  it('when its layer is in another repository only', async () => {
    const digest = await registry.pushBlob('validation/other', 'only there')
    await assertRefused({ ...image, layers: [{ ...layer, digest, size: 10 }] }, { code: 'MANIFEST_BLOB_UNKNOWN' })
  })

  it('larger than 4 MiB with 413', async () => {
    const reply = await put({ ...image, annotations: { filler: 'x'.repeat(4 << 20) } })
    assert.deepEqual([reply.status, codesOf(reply)], [413, ['SIZE_INVALID']])
  })

  it('in a content encoding', async () => {
    const headers = { 'Content-Encoding': 'gzip' }
    const reply = await registry.putManifest(repository, 'encoded', image, { headers })
    assert.ok([400, 415].includes(reply.status))
  })

  it('and leaves nothing behind', async () => {
    const bad = { ...image, schemaVersion: 3 }
    await registry.putManifest(repository, 'left', bad)
    for (const reference of ['left', digestOf(JSON.stringify(bad))])
      assert.equal((await registry.call('GET', `/v2/${repository}/manifests/${reference}`)).status, 404)
  })
})
