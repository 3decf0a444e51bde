import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { adminPassword, basic } from '../support/accounts.ts'
import { eventually, useApp } from '../support/app.ts'
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

  it('loses nothing to collections that are asked for all the time meanwhile', async () => {
    const folder = await useFolder()
    const data = join(folder, 'data')
    const admin = { HOLDFAST_ACCESS: 'open', HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword }
    const env = {
      ...admin,
      REGISTRY_STORAGE_DELETE_ENABLED: 'true',
      HOLDFAST_GC_GRACE: '0s',
      HOLDFAST_TRASH_KEEP: '0s',
    }
    const registry = await startRegistry({ data, env })
    const [kept, going] = [await push(registry, 10, 'kept'), await push(registry, 40, 'going')]
    // As after a while: what nothing refers to was pushed an hour ago.
    const age = () =>
      ask(
        join(data, 'holdfast/holdfast.db'),
        'update blob_link set doubted_at = doubted_at - 7200000 where doubted_at > 7200000',
      )
    let [isOver, collected] = [false, 0]
    async function collect(): Promise<void> {
      for (; !isOver; await setTimeout(100)) {
        const body = JSON.stringify({ kind: 'gc', force: true })
        const headers = { 'content-type': 'application/json', authorization: basic('root', adminPassword) }
        const reply = await fetch(`${registry.url}/api/v1/jobs`, { method: 'POST', headers, body })
        const done = (await reply.json()) as { state: string; blobs: number }
        assert.equal(done.state, 'done')
        collected += done.blobs
      }
    }
    async function change(): Promise<void> {
      for (let i = 0; !isOver; i++) {
        await pushText(registry.url, 'late/app', `v${i}`, `late ${i}`)
        const old = going[i]
        if (old) await remove(registry.url, old.repository, old.digest)
        age()
        await setTimeout(20)
      }
    }
    const beside = [collect(), change()]
    const backups = ['one', 'two'].map((name) => join(folder, name))
    for (const backup of backups) {
      const made = await holdfast('backup', backup, '--data', data)
      assert.equal(made.code, 0, made.output)
    }
    isOver = true
    await Promise.all(beside)
    assert.ok(collected > 5, `${collected} blobs were collected`)
    await expectWhole(registry.url, kept)
    await registry.stop()
    const { output, code } = await holdfast('fsck', '--data', data)
    assert.equal(code, 0, output)
    for (const backup of backups) {
      const verified = await holdfast('backup', 'verify', backup)
      assert.equal(verified.code, 0, verified.output)
    }
    const target = join(folder, 'restored')
    assert.equal((await holdfast('backup', 'restore', backups[1]!, '--data', join(target, 'data'))).code, 0)
    const restored = await useApp((configuration) => void (configuration.access = 'open'), { folder: target })
    await expectWhole(urlOf(restored), kept)
    await restored.close(0)
  })
})

function ask(path: string, text: string): void {
  const database = new DatabaseSync(path, { timeout: 5000 })
  database.exec(text)
  database.close()
}
