import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { useAccounts } from '../support/accounts.ts'
import { call, digestOf, types } from '../support/client.ts'

const { must, push, root, api, addUser, user, url } = await useAccounts()

interface Sizes {
  digest: string
  sizeDownload: number
  sizeStored: number
  sizeExclusive: number
  sizeUnpacked: number | null
  unpacked: string
}

describe('sizes', () => {
  it('are told of an image, a repository, an organization and of all', async () => {
    await push('acme/app', root)
    const alone = (await must('GET /repos/acme/app/-/images/v1')) as unknown as Sizes
    assert.ok(alone.sizeDownload > 0)
    assert.deepEqual(alone, {
      ...alone,
      sizeStored: alone.sizeDownload,
      sizeExclusive: alone.sizeDownload,
    })
    assert.deepEqual(await must(`GET /repos/acme/app/-/images/${alone.digest}`), alone)
    await push('acme/other', root)
    const shared = (await must('GET /repos/acme/app/-/images/v1')) as unknown as Sizes
    assert.equal(shared.sizeStored, alone.sizeStored)
    assert.ok(shared.sizeExclusive <= alone.sizeExclusive)
    const { sizeStored } = await must('GET /repos/acme/app/-/usage')
    assert.equal(sizeStored, alone.sizeStored)
    const { items } = (await must('GET /repos?sizes=true&limit=1')) as { items: { sizeStored: number }[] }
    assert.equal(items[0]?.sizeStored, sizeStored)
    const all = await must('GET /usage')
    const inAcme = await must('GET /usage?within=acme/app')
    assert.deepEqual(
      (all.organizations as { name: string }[]).map(({ name }) => name),
      ['acme'],
    )
    assert.equal((inAcme.repositories as unknown[]).length, 1)
    assert.equal((all.repositories as unknown[]).length, 2)
  })

  it('are told to those who may pull, and of all to administrators', async () => {
    await addUser('bob')
    assert.equal((await api('GET /usage', { as: user('bob') })).status, 403)
    assert.equal((await api('GET /repos/acme/app/-/images/none')).status, 404)
    assert.equal((await api('GET /repos/acme/app/-/images/v1', { as: user('bob') })).status, 404)
  })
})

/** An image once its layers were looked into. */
async function measured(path: string): Promise<Sizes> {
  for (;;) {
    const image = (await must(`GET /repos/${path}`)) as Sizes
    if (image.unpacked !== 'waiting') return image
    await setTimeout(100)
  }
}

async function upload(repository: string, content: Buffer, mediaType: string) {
  const descriptor = { mediaType, digest: digestOf(content), size: content.length }
  const headers = { authorization: root, 'content-type': 'application/octet-stream' }
  const path = `/v2/${repository}/blobs/uploads/?digest=${descriptor.digest}`
  assert.equal((await call(url, 'POST', path, { headers, body: content })).status, 201)
  return descriptor
}

async function pushDocument(repository: string, reference: string, mediaType: string, document: object) {
  const content = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }))
  const headers = { authorization: root, 'content-type': mediaType }
  const path = `/v2/${repository}/manifests/${reference}`
  assert.equal((await call(url, 'PUT', path, { headers, body: content })).status, 201)
  return { mediaType, digest: digestOf(content), size: content.length }
}

describe('the unpacked size', () => {
  const layer = 'application/vnd.oci.image.layer.v1.tar'

  it('of an image is that of its tars; of an index that of the largest of its images, and of each', async () => {
    const children = []
    for (const [architecture, size] of Object.entries({ amd64: 100_000, arm64: 300_000 })) {
      const config = await upload('acme/big', Buffer.from(JSON.stringify({ os: 'linux', architecture })), types.config)
      const packed = await upload('acme/big', gzipSync(Buffer.alloc(size, architecture)), `${layer}+gzip`)
      const plain = await upload('acme/big', Buffer.alloc(2048, 'plain'), layer)
      const other = await upload('acme/big', gzipSync(Buffer.from('no tar')), 'application/vnd.in-toto+json')
      const layers = [packed, plain, plain, other]
      const image = await pushDocument('acme/big', architecture, types.image, { config, layers })
      children.push({ ...image, platform: { os: 'linux', architecture } })
      const { sizeUnpacked, unpacked } = await measured(`acme/big/-/images/${architecture}`)
      assert.deepEqual([sizeUnpacked, unpacked], [size + 2 * 2048 + other.size, 'exact'])
    }
    await pushDocument('acme/big', 'all', types.index, { manifests: children })
    const { sizeUnpacked, platforms } = (await measured('acme/big/-/images/all')) as Sizes & { platforms: Sizes[] }
    assert.ok(sizeUnpacked! > 300_000)
    assert.equal(platforms[1]!.sizeUnpacked, sizeUnpacked)
    assert.ok(platforms[0]!.sizeUnpacked! < 200_000)
  })

  it('is found out with the platform, by which rules go', async () => {
    const body = { rules: [{ action: 'expire', platforms: ['linux/arm*'] }] }
    await must('PUT /repos/acme/big/-/rules/retention', { body })
    const { items } = (await must('GET /repos/acme/big/-/retention')) as { items: { tag: string; verdict: string }[] }
    assert.deepEqual(
      items.filter(({ verdict }) => verdict === 'expire').map(({ tag }) => tag),
      ['arm64'],
    )
  })

  it('is unknown where a layer is not what it says', async () => {
    const config = await upload('acme/odd', Buffer.from('{}'), types.config)
    const broken = await upload('acme/odd', gzipSync(Buffer.alloc(100_000)).subarray(0, -9), `${layer}+gzip`)
    await pushDocument('acme/odd', 'v1', types.image, { config, layers: [broken] })
    const { sizeUnpacked, unpacked } = await measured('acme/odd/-/images/v1')
    assert.deepEqual([sizeUnpacked, unpacked], [null, 'unknown'])
  })
})
