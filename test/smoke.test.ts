import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pushImage, startRegistry } from './support/registry.ts'

it('serves an image byte for byte after a push and a restart', async () => {
  const first = await startRegistry()
  const layer = Buffer.from('a layer')
  const { digest, manifest } = await pushImage(first.url, 'team/app', 'v1', [layer])
  assert.equal(await first.stop(), 0)
  const second = await startRegistry({ data: first.data })
  try {
    const reply = await fetch(`${second.url}/v2/team/app/manifests/v1`)
    assert.equal(reply.headers.get('docker-content-digest'), digest)
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), manifest)
  } finally {
    await second.dispose()
  }
})
