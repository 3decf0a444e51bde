import assert from 'node:assert/strict'
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { digestOf } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { startRegistry } from '../support/registry.ts'
import { blobFiles, expectWhole, push, useFolder } from './tools.ts'

it('fsck --repair takes what is gone or cut from a backup, and tells before what it would do', async () => {
  const { data, backup, file } = await usePlaces()
  const first = await startRegistry({ data })
  const images = await push(first, 6, 'team')
  await first.stop()
  const made = await holdfast('backup', backup, file)
  assert.equal(made.code, 0, made.output)

  const layers = await Promise.all(['team 1', 'team 2', 'team 3'].map((text) => fileOf(data, `layer of ${text}`)))
  await rm(layers[0]!)
  await truncate(layers[1]!, 3)
  await truncate(layers[2]!, 0)
  const told = await holdfast('fsck', file)
  assert.equal(told.code, 1)
  assert.match(
    told.output,
    /bytes are gone \(--repair would: take its bytes from the backup, or if it has none take it out of the database\)/,
  )
  const mended = await holdfast('fsck', file, '--repair')
  assert.equal(mended.code, 0, mended.output)
  assert.equal(mended.output.match(/done: take them from the backup/g)?.length, 3, mended.output)
  assert.equal((await holdfast('fsck', file)).code, 0)
  const again = await startRegistry({ data })
  await expectWhole(again.url, images)
  await again.stop()
})

it('fsck --repair takes from a backup also what a registry has taken for deleted since', async () => {
  const { data, backup, file } = await usePlaces()
  const first = await startRegistry({ data })
  const images = await push(first, 3, 'late')
  await first.stop()
  assert.equal((await holdfast('backup', backup, file)).code, 0)
  await rm(await fileOf(data, 'layer of late 1'))
  const without = await startRegistry({ data })
  for (let isForgotten = false; !isForgotten; await setTimeout(50))
    isForgotten = without.errors().includes('volume.reconciled')
  await without.stop()
  assert.match((await holdfast('fsck', file)).output, /manifest lacks sha256:\w+: push the image again/)
  const mended = await holdfast('fsck', file, '--repair')
  assert.match(mended.output, /manifest lacks sha256:\w+ \(done: take it from the backup\)/)
  assert.equal((await holdfast('fsck', file)).code, 0)
  const again = await startRegistry({ data })
  await expectWhole(again.url, images)
  await again.stop()
})

/** A volume, a backup of it that is to be, and the configuration that names both. */
async function usePlaces() {
  const folder = await useFolder()
  const [data, backup, file] = [join(folder, 'data'), join(folder, 'backup'), join(folder, 'config.yml')]
  await writeFile(
    file,
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${data}}}\nholdfast: {scrub: {repairfrom: ${backup}}}\n`,
  )
  return { data, backup, file }
}

/** The file of the blob with these bytes. */
async function fileOf(data: string, text: string): Promise<string> {
  const hex = digestOf(Buffer.from(text)).slice('sha256:'.length)
  return (await blobFiles(data)).find((path) => path.includes(hex))!
}
