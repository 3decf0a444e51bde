import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { call, digestOf } from '../support/client.ts'
import { holdfast as fsck } from '../support/holdfast.ts'
import { inventoryOf, pull, statusOf } from '../support/inventory.ts'
import { collectGarbage, type OtherProgram, startOther } from '../support/other-registry.ts'
import { need } from '../support/programs.ts'
import { mount, pushIndex, pushText, remove } from '../support/push.ts'
import { startRegistry } from '../support/registry.ts'

for (const program of ['docker-registry', 'registry'] as OtherProgram[]) {
  describe(`a volume of ${program}`, { skip: need(program) }, () => {
    it('goes to Holdfast, back, and to Holdfast again', { timeout: 60_000 }, () => goAround(program))
    it('loses in Holdfast what its garbage collector took', { timeout: 60_000 }, () => collect(program))
  })
}

describe('a volume after garbage-collect -m of registry:2', { skip: need('docker-registry') }, () => {
  it('is served for the rest, takes what is missing again, and fsck tells', { timeout: 60_000 }, async () => {
    const data = await mkdtemp(join(tmpdir(), 'holdfast-circle-'))
    try {
      const holdfast = await startRegistry({ data })
      await pushIndex(holdfast.url, 'multi', 'v1', 'multi') // whose children have no tags: -m takes them
      await pushText(holdfast.url, 'app', 'v1', 'v1')
      await holdfast.stop()
      await collectGarbage('docker-registry', data, '-m')
      const again = await startRegistry({ data })
      await pull(again.url, 'app', 'v1')
      assert.equal(await statusOf(again.url, 'multi', 'v1'), 200)
      await assert.rejects(pull(again.url, 'multi', 'v1'), /404/)
      await pushIndex(again.url, 'multi', 'v1', 'multi')
      await pull(again.url, 'multi', 'v1')
      await again.stop()
      await collectGarbage('docker-registry', data, '-m')
      const { code, output } = await fsck('fsck', '--data', data)
      assert.equal(code, 1)
      assert.equal(output.match(/a manifest that sha256:\w+ lists has no link/g)?.length, 2, output)
      assert.equal(output.match(/leads to a blob whose bytes are gone/g)?.length, 4, output)
    } finally {
      await rm(data, { recursive: true })
    }
  })
})

async function goAround(program: OtherProgram): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'holdfast-circle-'))
  try {
    // Filled there: tags, an image by digest only, an index, nested names, a mount, deletes, tags that moved.
    const first = await startOther(program, data)
    for (const name of ['app', 'team/app', 'team/app/deep'])
      for (const tag of ['v1', 'v2', 'old']) await pushText(first.url, name, tag, `${name} ${tag}`)
    await pushIndex(first.url, 'team/multi', 'latest', 'multi')
    for (const text of ['one', 'two']) await pushText(first.url, 'app', 'moving', text)
    const untagged = await pushText(first.url, 'only/digest', undefined, 'untagged')
    const layer = digestOf('layer of one')
    await mount(first.url, 'mounted', layer, 'app')
    await pushText(first.url, 'mounted', 'v1', 'mounted v1')
    const gone = await pushText(first.url, 'app', 'gone', 'gone')
    await remove(first.url, 'app', gone.digest)
    const before = await inventoryOf(first.url)
    await first.stop()

    // Served at once by Holdfast, and used.
    const holdfast = await startRegistry({ data })
    assert.deepEqual(await inventoryOf(holdfast.url), before)
    await pull(holdfast.url, 'only/digest', untagged.digest)
    assert.equal(await statusOf(holdfast.url, 'app', gone.digest), 404)
    assert.equal((await call(holdfast.url, 'HEAD', `/v2/mounted/blobs/${layer}`)).status, 200)
    await pushText(holdfast.url, 'app', 'v3', 'app v3')
    await pushText(holdfast.url, 'app', 'moving', 'three')
    await pushText(holdfast.url, 'new/by/holdfast', 'v1', 'new')
    await pushIndex(holdfast.url, 'team/multi', 'next', 'next multi')
    await mount(holdfast.url, 'mounted', digestOf('layer of app v3'), 'app')
    await remove(holdfast.url, 'team/app', before['team/app']!.old!)
    await remove(holdfast.url, 'team/app/deep', 'old') // the tag alone
    const during = await inventoryOf(holdfast.url)
    assert.equal(await holdfast.stop(), 0)

    // Back there.
    const second = await startOther(program, data)
    assert.deepEqual(await inventoryOf(second.url), during)
    await pull(second.url, 'only/digest', untagged.digest)
    assert.equal(await statusOf(second.url, 'team/app', before['team/app']!.old!), 404)
    await pull(second.url, 'team/app/deep', before['team/app/deep']!.old!)
    assert.equal((await call(second.url, 'HEAD', `/v2/mounted/blobs/${digestOf('layer of app v3')}`)).status, 200)
    await pushText(second.url, 'app', 'v4', 'app v4')
    await pushText(second.url, 'app', 'moving', 'four')
    await pushIndex(second.url, 'pushed/there', 'v1', 'pushed there')
    await remove(second.url, 'app', during.app!.v1!)
    await call(second.url, 'DELETE', `/v2/mounted/blobs/${layer}`)
    const after = await inventoryOf(second.url)
    await second.stop()

    // And what happened there is found.
    const again = await startRegistry({ data })
    assert.deepEqual(await inventoryOf(again.url), after)
    assert.equal(await statusOf(again.url, 'app', during.app!.v1!), 404)
    assert.equal((await call(again.url, 'HEAD', `/v2/mounted/blobs/${layer}`)).status, 404)
    await pull(again.url, 'only/digest', untagged.digest)
    assert.match(again.output(), /manifest\.deleted/)
    await again.stop()
  } finally {
    await rm(data, { recursive: true })
  }
}

async function collect(program: OtherProgram): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'holdfast-circle-'))
  try {
    const holdfast = await startRegistry({ data })
    await pushText(holdfast.url, 'app', 'stays', 'stays')
    const gone = await pushText(holdfast.url, 'app', 'goes', 'goes')
    await holdfast.stop()
    const other = await startOther(program, data)
    await remove(other.url, 'app', gone.digest)
    await other.stop()
    await collectGarbage(program, data)
    const again = await startRegistry({ data })
    assert.deepEqual(Object.keys((await inventoryOf(again.url)).app!), ['stays'])
    assert.equal((await call(again.url, 'HEAD', `/v2/app/blobs/${digestOf('layer of goes')}`)).status, 404)
    await pushText(again.url, 'app', 'goes', 'goes') // what was collected comes back whole
    await pull(again.url, 'app', 'goes')
    await again.stop()
  } finally {
    await rm(data, { recursive: true })
  }
}
