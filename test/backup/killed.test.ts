import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { eventually, useApp } from '../support/app.ts'
import { holdfast } from '../support/holdfast.ts'
import { pushImage } from '../support/registry.ts'
import { blobFiles, change, expectWhole, serve, urlOf, useFolder } from './tools.ts'

describe('what was killed', async () => {
  const app = await useApp(change)
  const blob = Buffer.alloc(8 << 20, 'x')
  const layers = Array.from({ length: 12 }, (_, i) => Buffer.concat([Buffer.from(String(i)), blob]))
  const { digest } = await pushImage(urlOf(app), 'big', 'v1', layers)
  const folder = await useFolder()
  const [backup, target] = [join(folder, 'backup'), join(folder, 'restored/data')]
  const main = join(import.meta.dirname, '../../src/main.ts')

  /** Runs a command and kills it when so many blobs are there. */
  async function killAt(count: number, where: string, ...args: string[]): Promise<void> {
    const child = spawn(process.execPath, [main, ...args], { stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await eventually(async () => child.exitCode !== null || (await blobFiles(where).catch(() => [])).length >= count)
    child.kill('SIGKILL')
    await ended
  }

  it('goes on where it was', async () => {
    await killAt(2, backup, 'backup', backup, '--data', join(app.folder, 'data'))
    const there = new Map(
      await Promise.all((await blobFiles(backup)).map(async (file) => [file, (await stat(file)).ino] as const)),
    )
    const { code, output } = await holdfast('backup', backup, '--data', join(app.folder, 'data'))
    assert.equal(code, 0, output)
    for (const [file, ino] of there) assert.equal((await stat(file)).ino, ino, 'was copied again')
    await killAt(2, target, 'backup', 'restore', backup, '--data', target)
    const second = await holdfast('backup', 'restore', backup, '--data', target)
    assert.ok(second.code === 0 || /there already/.test(second.output), second.output)
    assert.deepEqual(await readdir(join(backup, 'holdfast/uploads')).catch(() => []), [])
    const restored = await serve(join(folder, 'restored'))
    await expectWhole(urlOf(restored), [{ repository: 'big', digest }])
  })
})
