import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { call, digestOf } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { type Inventory, inventoryOf } from '../support/inventory.ts'
import { pushIndex, pushText } from '../support/push.ts'
import { pushBlob, startRegistry } from '../support/registry.ts'

const kills = 3
const [repositories, untagged] = [3, 50]
const folder = await mkdtemp(join(tmpdir(), 'holdfast-gc-killed-'))
after(() => rm(folder, { recursive: true, force: true }))
const [data, file] = [join(folder, 'data'), join(folder, 'config.yml')]
const main = join(import.meta.dirname, '../../src/main.ts')

/** Fills a volume; gives what is tagged. */
async function fill(): Promise<Inventory> {
  const { url, stop } = await startRegistry({ data })
  for (let index = 0; index < repositories; index++) {
    const name = `team/app${index}`
    await pushText(url, name, 'kept', `kept ${index}`)
    await pushIndex(url, name, 'multi', `multi ${index}`)
    await Promise.all(
      Array.from({ length: untagged }, (_, image) => pushText(url, name, undefined, `gone ${index} ${image}`)),
    )
    await pushBlob(url, name, Buffer.from('shared by all, needed by none'))
  }
  const inventory = await inventoryOf(url)
  await stop()
  return inventory
}

/** Collects and is killed after so long; whether it came to its end before. */
async function collectFor(ms: number, where: string): Promise<boolean> {
  const options = ['-m', '--force', '--data', where]
  const child = spawn(process.execPath, [main, 'garbage-collect', file, ...options], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  await Promise.race([ended, setTimeout(ms)])
  child.kill('SIGKILL')
  const [code] = (await ended) as [number | null]
  return code === 0
}

const digestsIn = async (where: string) =>
  (await readdir(join(where, 'docker/registry/v2/blobs'), { recursive: true, withFileTypes: true }))
    .filter((one) => one.isFile())
    .map(({ parentPath }) => `sha256:${parentPath.split('/').at(-1)}`)
    .toSorted()

/** Every digest that what is tagged needs. */
async function needed(url: string, inventory: Inventory): Promise<string[]> {
  const found = new Set<string>()
  async function add(repository: string, digest: string): Promise<void> {
    found.add(digest)
    const { body } = await call(url, 'GET', `/v2/${repository}/manifests/${digest}`, { headers: { accept: '*/*' } })
    assert.equal(digestOf(body), digest)
    const { config, layers = [], manifests = [] } = JSON.parse(String(body))
    for (const one of [config, ...layers].filter(Boolean)) found.add(one.digest)
    for (const one of manifests) await add(repository, one.digest)
  }
  for (const [repository, tags] of Object.entries(inventory))
    for (const digest of Object.values(tags)) await add(repository, digest)
  return [...found].toSorted()
}

it('garbage-collect that is killed leaves a whole volume, and the next one goes on', { timeout: 120_000 }, async () => {
  const options = 'holdfast: {trash: {keep: 0s}, gc: {keeppulled: 0s}}'
  await writeFile(file, `version: 0.1\nstorage: {filesystem: {rootdirectory: ${data}}}\n${options}\n`)
  const inventory = await fill()
  const copyTo = async (name: string) => {
    await cp(data, join(folder, name), { recursive: true, preserveTimestamps: true })
    return join(folder, name)
  }
  const whole = await copyTo('whole')
  const begun = performance.now()
  assert.ok(await collectFor(60_000, whole))
  const wholeMs = performance.now() - begun
  for (let kill = 0; kill < kills; kill++) {
    const where = await copyTo(`killed-${kill}`)
    await collectFor(wholeMs * (0.5 + (0.45 * (kill + Math.random())) / kills), where)
    await expectWhole(where, inventory)
  }
})

async function expectWhole(where: string, inventory: Inventory): Promise<void> {
  const about = `killed with ${(await digestsIn(where)).length} files`
  const { code, output } = await holdfast('fsck', '--data', where, '--repair') // the tree of links may lag
  assert.equal(code, 0, `${about}: ${output}`)
  assert.match((await holdfast('fsck', '--data', where)).output, /^nothing is wrong$/m, about)
  assert.ok(await collectFor(60_000, where))
  const { url, stop } = await startRegistry({ data: where })
  assert.deepEqual(await inventoryOf(url), inventory, about)
  assert.deepEqual(await digestsIn(where), await needed(url, inventory), about)
  await stop()
}
