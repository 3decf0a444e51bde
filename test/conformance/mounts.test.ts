import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf, pathOf, useRegistry } from '../support/client.ts'

const registry = await useRegistry()
const digest = await registry.pushBlob('mount/source', 'a shared layer')

function mount(target: string, query: string, body?: string) {
  return registry.call('POST', `/v2/${target}/blobs/uploads/?${query}`, body === undefined ? {} : { body })
}

describe('a mount of a blob (end-11)', () => {
  for (const [what, target, query] of [
    ['from the repository that is named', 'mount/a', `mount=${digest}&from=mount/source`],
    [
      'from the repository that is named, escaped',
      'mount/b',
      `mount=${encodeURIComponent(digest)}&from=mount%2Fsource`,
    ],
    ['from any repository when none is named', 'mount/c', `mount=${digest}`],
    ['from the same repository', 'mount/source', `mount=${digest}&from=mount/source`],
    ['with the origin that crane adds', 'mount/d', `mount=${digest}&from=mount/source&origin=registry.example`],
  ] as const) {
    it(`makes it a blob of the target: ${what}`, async () => {
      const reply = await mount(target, query)
      assert.equal(reply.status, 201)
      assert.equal(pathOf(reply), `/v2/${target}/blobs/${digest}`)
      assert.equal(reply.headers['docker-content-digest'], digest)
      assert.equal(reply.headers['content-length'], '0')
      const blob = await registry.call('GET', `/v2/${target}/blobs/${digest}`)
      assert.equal(blob.body.toString(), 'a shared layer')
    })
  }

  it('ignores a body', async () => {
    assert.equal((await mount('mount/body', `mount=${digest}&from=mount/source`, 'ignored')).status, 201)
  })

  for (const [what, query] of [
    ['the source does not hold it', `mount=${digest}&from=mount/elsewhere`],
    ['no repository holds it', `mount=${digestOf('nowhere')}`],
    ['the digest is malformed', 'mount=sha256:bad&from=mount/source'],
    ['the digest is empty', 'mount=&from=mount/source'],
    ['the source is malformed', `mount=${digest}&from=UPPER//x`],
    ['the source is empty', `mount=${digest}&from=`],
  ] as const) {
    it(`becomes an upload when ${what}`, async () => {
      const reply = await mount('mount/upload', query)
      assert.equal(reply.status, 202)
      assert.equal(reply.headers.range, '0-0')
      assert.ok(reply.headers['docker-upload-uuid'])
      const end = await registry.call('PUT', `${pathOf(reply)}&digest=${digestOf('pushed')}`, { body: 'pushed' })
      assert.equal(end.status, 201)
    })
  }

  it('stays when the source loses the blob', async () => {
    const own = await registry.pushBlob('mount/giver', 'given away')
    assert.equal((await mount('mount/taker', `mount=${own}&from=mount/giver`)).status, 201)
    assert.equal((await registry.call('DELETE', `/v2/mount/giver/blobs/${own}`)).status, 202)
    assert.equal((await mount('mount/third', `mount=${own}&from=mount/giver`)).status, 202)
    assert.equal((await registry.call('GET', `/v2/mount/taker/blobs/${own}`)).body.toString(), 'given away')
  })

  it('works for sha512', async () => {
    const long = await registry.pushBlob('mount/source', 'long', 'sha512')
    assert.equal((await mount('mount/long', `mount=${long}&from=mount/source`)).status, 201)
  })
})
