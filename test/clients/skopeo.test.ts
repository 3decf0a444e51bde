import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  createLayout,
  type Descriptor,
  layerOf,
  multiPlatformLayout,
  simpleLayout,
  zeroByteLayer,
} from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('skopeo', { skip: need('skopeo') }, () => {
  let sandbox: Sandbox
  let remote: string
  let simple: Descriptor
  let multi: Descriptor
  const skopeo = (...args: string[]) => sandbox.run('skopeo', args)
  const copy = (from: string, to: string, ...options: string[]) =>
    skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...options, from, to)
  before(async () => {
    sandbox = await createSandbox()
    remote = `docker://${sandbox.host}/skopeo`
    simple = await simpleLayout(sandbox.path('simple'))
    multi = await multiPlatformLayout(sandbox.path('multi'))
    await copy(`oci:${sandbox.path('simple')}:v1`, `${remote}/app:v1`)
  })
  after(() => sandbox.dispose())

  it('copies an image in and out with the same digest', async () => {
    assert.equal(await sandbox.digest('skopeo/app', 'v1'), simple.digest)
    await copy(`${remote}/app:v1`, `oci:${sandbox.path('out')}:v1`)
    await copy(`oci:${sandbox.path('out')}:v1`, `${remote}/again:v1`)
    assert.equal(await sandbox.digest('skopeo/again', 'v1'), simple.digest)
  })

  it('uploads nothing when the image is there', async () => {
    const events = await sandbox.recorded(() => copy(`oci:${sandbox.path('simple')}:v1`, `${remote}/app:v1`))
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('mounts every layer of a copy to another repository', async () => {
    const events = await sandbox.recorded(() => copy(`${remote}/app:v1`, `${remote}/copy:v1`))
    assert.equal(count(events, 'blob.mounted', 'skopeo/copy'), 3)
    assert.equal(count(events, 'blob.pushed'), 1, 'skopeo uploads the config whatever the registry has')
    assert.equal(await sandbox.digest('skopeo/copy', 'v1'), simple.digest)
  })

  it('copies an index with all its images and attestations', async () => {
    await copy(`oci:${sandbox.path('multi')}:v1`, `${remote}/multi:v1`, '--all')
    assert.equal(await sandbox.digest('skopeo/multi', 'v1'), multi.digest)
    await copy(`${remote}/multi:v1`, `oci:${sandbox.path('multi-out')}:v1`, '--all')
    await copy(`oci:${sandbox.path('multi-out')}:v1`, `${remote}/multi-again:v1`, '--all')
    assert.equal(await sandbox.digest('skopeo/multi-again', 'v1'), multi.digest)
  })

  it('converts to the schema 2 types of Docker and back', async () => {
    await copy(`oci:${sandbox.path('simple')}:v1`, `${remote}/app:docker`, '--format=v2s2')
    const raw = JSON.parse(await skopeo('inspect', '--raw', '--tls-verify=false', `${remote}/app:docker`))
    assert.equal(raw.mediaType, 'application/vnd.docker.distribution.manifest.v2+json')
    await copy(`${remote}/app:docker`, `oci:${sandbox.path('converted')}:v1`)
  })

  it('stores a layer of no bytes', async () => {
    const layout = await createLayout(sandbox.path('hollow'))
    const image = await layout.name(await layout.image([zeroByteLayer(), layerOf({ a: 'a' })]), 'v1')
    await copy(`oci:${sandbox.path('hollow')}:v1`, `${remote}/hollow:v1`, '--preserve-digests')
    assert.equal(await sandbox.digest('skopeo/hollow', 'v1'), image.digest)
    await copy(`${remote}/hollow:v1`, `dir:${sandbox.path('hollow-out')}`)
  })

  it('syncs a repository into a folder and back', async () => {
    await copy(`${remote}/app:v1`, `${remote}/synced:v1`)
    await copy(`${remote}/app:v1`, `${remote}/synced:v2`)
    const options = ['sync', '--all', '--src-tls-verify=false', '--dest-tls-verify=false']
    await skopeo(...options, '--src=docker', '--dest=dir', `${sandbox.host}/skopeo/synced`, sandbox.path('mirror'))
    await skopeo(...options, '--src=dir', '--dest=docker', sandbox.path('mirror'), `${sandbox.host}/back`)
    assert.equal(await sandbox.digest('back/synced', 'v2'), simple.digest)
  })

  it('says once why a manifest is refused', async () => {
    const schema1 = copy(`${remote}/app:v1`, `${remote}/old:v1`, '--format=v2s1')
    await assert.rejects(schema1, /skopeo\/old: manifest invalid: unsupported media type/)
  })

  it('lists tags and inspects an image', async () => {
    const list = JSON.parse(await skopeo('list-tags', '--tls-verify=false', `${remote}/again`))
    assert.deepEqual(list.Tags, ['v1'])
    const image = JSON.parse(await skopeo('inspect', '--tls-verify=false', `${remote}/again:v1`))
    assert.equal(image.Digest, simple.digest)
    assert.equal(image.Layers.length, 3)
  })

  it('deletes an image', async () => {
    await copy(`${remote}/app:v1`, `${remote}/doomed:v1`)
    await skopeo('delete', '--tls-verify=false', `${remote}/doomed:v1`)
    await assert.rejects(skopeo('inspect', '--tls-verify=false', `${remote}/doomed:v1`), /manifest unknown/)
  })
})
