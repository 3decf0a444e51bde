import assert from 'node:assert/strict'
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { digestOf } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { run } from '../support/programs.ts'
import { pushText } from '../support/push.ts'
import { makeVolume, serve } from './tools.ts'

const v2 = 'docker/registry/v2'
const blobAt = (text: string) => {
  const hex = digestOf(text).slice('sha256:'.length)
  return `${v2}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}
const unreferenced = blobAt('nobody knows')
/** Files nobody knows, and what fsck says of them. */
const strays: Record<string, string> = {
  'scheduler-state.json': 'nobody knows',
  'docker/notes': 'nobody knows',
  [`${v2}/repositories/notes`]: 'nobody knows',
  [`${v2}/repositories/team/notes`]: 'nobody knows',
  [`${v2}/repositories/team/app/notes`]: 'nobody knows',
  [`${v2}/blobs/notes`]: 'are no blob, or not in the place of one',
  [`${v2}/blobs/sha256/notes`]: 'nobody knows',
  [dirname(dirname(blobAt('layer of v1'))) + '/notes']: 'are no blob, or not in the place of one',
  [unreferenced]: 'no repository and no manifest knows',
}

it('fsck tells of files that nobody knows, which are nothing wrong, and the collector takes only blobs of them', async () => {
  const data = await makeVolume()
  const { url, close } = await serve(data)
  await pushText(url, 'team/app', 'v1', 'v1')
  await close()
  const longAgo = new Date(Date.now() - 2 * 86_400_000)
  for (const path of Object.keys(strays)) {
    await mkdir(dirname(join(data, path)), { recursive: true })
    await writeFile(join(data, path), 'nobody knows')
    await utimes(join(data, path), longAgo, longAgo)
  }
  const told = await holdfast('fsck', '--data', data)
  assert.equal(told.code, 0, told.output)
  for (const [path, remark] of Object.entries(strays))
    assert.ok(told.output.includes(`${path}: 12 bytes that ${remark}; `), `${path} in ${told.output}`)
  assert.match(told.output, /nothing is wrong\n$/)
  const asJson = (await holdfast('fsck', '--data', data, '--json')).output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(new Set(asJson.map(({ path }) => path)), new Set(Object.keys(strays)))

  await holdfast('fsck', '--data', data, '--repair')
  assert.equal((await holdfast('garbage-collect', '--data', data)).code, 0)
  for (const path of Object.keys(strays).filter((one) => one !== unreferenced)) await readFile(join(data, path))
  await assert.rejects(readFile(join(data, unreferenced)), { code: 'ENOENT' })
  assert.equal((await holdfast('fsck', '--data', data, '--repair')).code, 0)
})

it('fsck takes nothing for unknown that only the tree knows yet', async () => {
  const data = await makeVolume()
  const { url, close } = await serve(data)
  await pushText(url, 'team/app', 'v1', 'v1')
  await close()
  const other = await makeVolume()
  const second = await serve(other)
  await pushText(second.url, 'team/app', 'v2', 'v2')
  await second.close()
  await run('cp', ['-a', join(other, 'docker'), data])
  assert.doesNotMatch((await holdfast('fsck', '--data', data)).output, /knows/)
})
