import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { eventually } from '../support/app.ts'
import { holdfast } from '../support/holdfast.ts'
import { pushText, remove } from '../support/push.ts'
import { startRegistry } from '../support/registry.ts'
import { expectWhole, push, serve, urlOf, useFolder } from './tools.ts'

describe('a backup of a registry that serves', () => {
  it('holds all that was acknowledged before it, beside pushes and deletions', async () => {
    const folder = await useFolder()
    const data = join(folder, 'data')
    const env = { REGISTRY_STORAGE_DELETE_ENABLED: 'true', HOLDFAST_GC_GRACE: '0s', HOLDFAST_TRASH_KEEP: '0s' }
    const registry = await startRegistry({ data, env })
    const [kept, going] = [await push(registry, 10, 'kept'), await push(registry, 30, 'going')]
    let isOver = false
    async function change(): Promise<void> {
      for (let i = 0; !isOver; i++) {
        await pushText(registry.url, 'late/app', `v${i}`, `late ${i}`)
        const old = going[i]
        if (old) await remove(registry.url, old.repository, old.digest)
      }
    }
    const beside = change()
    const backup = join(folder, 'backup')
    const made = await holdfast('backup', backup, '--data', data).finally(() => (isOver = true))
    await beside
    assert.equal(made.code, 0, made.output)
    const verified = await holdfast('backup', 'verify', backup)
    assert.equal(verified.code, 0, verified.output)
    const target = join(folder, 'restored')
    const done = await holdfast('backup', 'restore', backup, '--data', join(target, 'data'))
    assert.equal(done.code, 0, done.output)
    const restored = await serve(target)
    await expectWhole(urlOf(restored), kept)
    await eventually(() => restored.logged().includes('volume.reconciled'))
    const links = await readdir(join(target, 'data/docker/registry/v2/repositories'), { recursive: true })
    assert.ok(links.filter((path) => path.endsWith('/link')).length > 30)
    await restored.close(0)
    await registry.stop()
    const { output, code } = await holdfast('fsck', '--data', join(target, 'data'))
    assert.equal(code, 0, output)
  })
})
