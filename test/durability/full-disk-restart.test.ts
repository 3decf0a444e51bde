import assert from 'node:assert/strict'
import { statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { pushImage, startRegistry } from '../support/registry.ts'
import { makeTmpfs, unable } from './mounts.ts'

it('starts again on a disk that is full and serves what it has', { skip: unable('mount') }, async () => {
  const disk = await makeTmpfs(16)
  try {
    const first = await startRegistry({ data: disk.path })
    const { digest } = await pushImage(first.url, 'team/app', 'v1', [Buffer.from('a layer')])
    await first.stop()
    const { bavail, bsize } = statfsSync(disk.path)
    writeFileSync(join(disk.path, 'filler'), Buffer.alloc(bavail * bsize))
    assert.equal(statfsSync(disk.path).bavail, 0)
    const second = await startRegistry({ data: disk.path })
    try {
      const reply = await fetch(`${second.url}/v2/team/app/manifests/v1`)
      assert.equal(reply.headers.get('docker-content-digest'), digest)
      const refused = await fetch(`${second.url}/v2/team/app/manifests/v1`, { method: 'DELETE' })
      assert.ok([202, 507].includes(refused.status), `${refused.status}`)
    } finally {
      await second.stop()
    }
  } finally {
    await disk.dispose()
  }
})
