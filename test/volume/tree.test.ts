import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { call, digestOf } from '../support/client.ts'
import { startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { mount, pushIndex, pushText, remove } from '../support/push.ts'
import { makeVolume, serve } from './tools.ts'

/** Every folder and file of the tree with its bytes, but for uploads under way. */
async function treeOf(data: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {}
  for (const path of (await readdir(join(data, 'docker'), { recursive: true })).toSorted()) {
    if (path.includes('_uploads')) continue
    const file = join(data, 'docker', path)
    tree[path] = (await stat(file)).isFile() ? await readFile(file, 'latin1') : 'folder'
  }
  return tree
}

/** The same requests to any registry. */
async function use(url: string): Promise<void> {
  await pushText(url, 'app', 'v1', 'v1')
  for (const text of ['one', 'two']) await pushText(url, 'app', 'moving', text)
  await pushText(url, 'app', 'again', 'v1')
  await pushIndex(url, 'team/multi', 'latest', 'multi')
  await pushText(url, 'team', undefined, 'untagged')
  await mount(url, 'team/mounted', digestOf('layer of v1'), 'app')
  await pushText(url, 'app', 'gone', 'gone')
  await pushText(url, 'app', 'gone-too', 'gone')
}

/** Not at once: what is deleted before the tree follows its push is never written. */
async function takeAway(url: string): Promise<void> {
  const { digest } = await pushText(url, 'app', 'gone', 'gone')
  await remove(url, 'app', digest)
  await call(url, 'DELETE', `/v2/app/blobs/${digestOf('layer of one')}`)
}

it('is byte for byte what registry:2 writes', { skip: need('docker-registry') }, async () => {
  const [theirs, ours] = [await makeVolume(), await makeVolume()]
  const other = await startOther('docker-registry', theirs)
  await use(other.url)
  await takeAway(other.url)
  await other.stop()
  for (const act of [use, takeAway]) {
    const { url, close } = await serve(ours)
    await act(url)
    await close()
  }
  assert.deepEqual(await treeOf(ours), await treeOf(theirs))
})

it('has the moments of what happened as its times', async () => {
  const data = await makeVolume()
  const { url, close, logged } = await serve(data)
  await pushText(url, 'app', 'v1', 'v1')
  await close()
  const link = await stat(join(data, 'docker/registry/v2/repositories/app/_manifests/tags/v1/current/link'))
  assert.ok(Math.abs(link.mtimeMs - Date.now()) < 60_000)
  assert.ok(logged.some((line) => line.startsWith('volume.reconciled')))
})
