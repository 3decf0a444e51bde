import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  createLayout,
  type Descriptor,
  emptyLayer,
  layerOf,
  multiPlatformLayout,
  simpleLayout,
  zeroByteLayer,
} from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('crane', { skip: need('crane') }, () => {
  let sandbox: Sandbox
  let host: string
  let simple: Descriptor
  let multi: Descriptor
  const crane = (...args: string[]) => sandbox.run('crane', [...args, '--insecure'])
  before(async () => {
    sandbox = await createSandbox()
    host = sandbox.host
    simple = await simpleLayout(sandbox.path('simple'))
    multi = await multiPlatformLayout(sandbox.path('multi'))
    await crane('push', sandbox.path('simple'), `${host}/crane/app:v1`)
  })
  after(() => sandbox.dispose())

  it('pushes and pulls an image with the same digest', async () => {
    assert.equal(await crane('digest', `${host}/crane/app:v1`), simple.digest)
    await crane('pull', '--format=oci', `${host}/crane/app:v1`, sandbox.path('pulled'))
    const events = await sandbox.recorded(() => crane('push', sandbox.path('pulled'), `${host}/crane/again:v1`))
    assert.equal(await sandbox.digest('crane/again', 'v1'), simple.digest)
    assert.equal(count(events, 'manifest.pushed', 'crane/again'), 1)
    await crane('validate', '--remote', `${host}/crane/app:v1`)
  })

  it('uploads nothing when the image is there', async () => {
    const events = await sandbox.recorded(() => crane('push', sandbox.path('simple'), `${host}/crane/app:v1`))
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('mounts every blob of a copy to another repository', async () => {
    const events = await sandbox.recorded(() => crane('cp', `${host}/crane/app:v1`, `${host}/crane/copy:v1`))
    assert.equal(count(events, 'blob.mounted', 'crane/copy'), 4)
    assert.equal(count(events, 'blob.pushed'), 0)
    assert.equal(await sandbox.digest('crane/copy', 'v1'), simple.digest)
  })

  it('pushes an index with its attestations and pulls it whole', async () => {
    await crane('push', '--index', sandbox.path('multi'), `${host}/crane/multi:all`)
    await crane('pull', '--format=oci', `${host}/crane/multi:all`, sandbox.path('multi-pulled'))
    await crane('cp', `${host}/crane/multi:all`, `${host}/crane/multi-copy:all`)
    assert.equal(await sandbox.digest('crane/multi-copy', 'all'), await sandbox.digest('crane/multi', 'all'))
    const pushed = JSON.parse(await crane('manifest', `${host}/crane/multi:all`))
    assert.deepEqual(pushed.manifests.map((item: Descriptor) => item.digest).includes(multi.digest), true)
  })

  it('appends an image to an index', async () => {
    const target = `${host}/crane/app:index`
    await crane('index', 'append', '--manifest', `${host}/crane/app:v1`, '--tag', target)
    const index = JSON.parse(await crane('manifest', target))
    assert.deepEqual(
      index.manifests.map((item: Descriptor) => item.digest),
      [simple.digest],
    )
  })

  it('stores empty layers and layers of no bytes', async () => {
    const layout = await createLayout(sandbox.path('hollow'))
    const image = await layout.name(await layout.image([emptyLayer(), zeroByteLayer(), layerOf({ a: '' })]), 'v1')
    await crane('push', sandbox.path('hollow'), `${host}/crane/hollow:v1`)
    assert.equal(await crane('digest', `${host}/crane/hollow:v1`), image.digest)
    await crane('pull', '--format=oci', `${host}/crane/hollow:v1`, sandbox.path('hollow-pulled'))
    assert.equal(await crane('blob', `${host}/crane/hollow@${(await layout.blob('', '')).digest}`), '')
  })

  it('stores an image without layers', async () => {
    const layout = await createLayout(sandbox.path('bare'))
    const image = await layout.name(await layout.image([]), 'v1')
    await crane('push', sandbox.path('bare'), `${host}/crane/bare:v1`)
    assert.equal(await crane('digest', `${host}/crane/bare:v1`), image.digest)
  })

  it('tags 200 times and lists them all in order', async () => {
    const tags = Array.from({ length: 200 }, (_, index) => `t${String(index).padStart(3, '0')}`)
    await sandbox.write('tags', tags.join('\n'))
    const command = `xargs -P 8 -I TAG crane tag --insecure ${host}/crane/copy:v1 TAG < tags`
    await sandbox.run('sh', ['-c', command])
    assert.deepEqual((await crane('ls', `${host}/crane/copy`)).split('\n'), [...tags, 'v1'])
    assert.equal(await crane('digest', `${host}/crane/copy:t199`), simple.digest)
  })

  it('lists the repositories', async () => {
    const names = (await crane('catalog', host)).split('\n')
    assert.ok(names.includes('crane/app') && names.includes('crane/copy'), names.join(' '))
  })

  it('deletes by tag and by digest', async () => {
    await crane('cp', `${host}/crane/app:v1`, `${host}/crane/doomed:v1`)
    await crane('tag', `${host}/crane/doomed:v1`, 'v2')
    await crane('delete', `${host}/crane/doomed:v1`)
    assert.equal(await crane('ls', `${host}/crane/doomed`), 'v2')
    await crane('delete', `${host}/crane/doomed@${simple.digest}`)
    await assert.rejects(crane('digest', `${host}/crane/doomed:v2`), /MANIFEST_UNKNOWN|404/)
  })
})
