import assert from 'node:assert/strict'
import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { inventoryOf, pull, statusOf } from '../support/inventory.ts'
import { need, run } from '../support/programs.ts'
import { pushText } from '../support/push.ts'
import { startRegistry } from '../support/registry.ts'
import { makeVolume, serve } from './tools.ts'

const nobody = 65_534
const giveAway = (data: string) => run('chown', ['-R', `${nobody}:${nobody}`, data])
const asNobody = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups']

it(
  'serves the rest of a volume it may not read whole, and loses nothing',
  { skip: need('setpriv', 'root') },
  async () => {
    const data = await makeVolume()
    const first = await serve(data)
    for (const name of ['open', 'closed', 'partly']) await pushText(first.url, name, 'v1', name)
    const hidden = await pushText(first.url, 'partly', 'hidden', 'hidden')
    const before = await inventoryOf(first.url)
    await first.close()
    await giveAway(data)
    const repositories = join(data, 'docker/registry/v2/repositories')
    const unreadable = [
      join(repositories, 'closed'),
      join(repositories, 'partly/_manifests/tags/hidden/current'),
      join(repositories, `partly/_manifests/revisions/${hidden.digest.replace(':', '/')}`),
    ]
    for (const path of unreadable) await chmod(path, 0)

    // Known to the database: all of it is served, and what cannot be seen is not taken for deleted.
    const known = await startRegistry({ data, under: asNobody })
    assert.deepEqual(await inventoryOf(known.url), before)
    await known.stop()
    const told = [...known.output().matchAll(/volume\.unreadable path=(\S+)/g)].map((match) => match[1])
    assert.equal(new Set(told).size, told.length, 'each path once')
    assert.equal(told.length, 6, told.join('\n'))
    assert.doesNotMatch(known.output(), /deleted/)
  },
)

it('takes over what it may read', { skip: need('setpriv', 'root') }, async () => {
  const data = await makeVolume()
  const first = await serve(data)
  for (const name of ['open', 'closed']) await pushText(first.url, name, 'v1', name)
  await pushText(first.url, 'open', 'hidden', 'hidden')
  await first.close()
  await giveAway(data)
  const repositories = join(data, 'docker/registry/v2/repositories')
  await chmod(join(repositories, 'closed'), 0)
  await chmod(join(repositories, 'open/_manifests/tags/hidden/current/link'), 0)
  await rm(join(data, 'holdfast'), { recursive: true })
  const fresh = await startRegistry({ data, under: asNobody })
  await pull(fresh.url, 'open', 'v1')
  assert.equal(await statusOf(fresh.url, 'open', 'hidden'), 404)
  assert.equal(await statusOf(fresh.url, 'closed', 'v1'), 404)
  await fresh.stop()
  assert.match(fresh.output(), /volume\.unreadable path=docker\/registry\/v2\/repositories\/closed /)
  assert.match(fresh.output(), /volume\.unreadable path=\S+\/tags\/hidden\/current\/link /)
  assert.doesNotMatch(fresh.output(), / at .*\.ts:/) // no stack
})
