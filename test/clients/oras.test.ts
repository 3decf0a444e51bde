import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { type Descriptor, multiPlatformLayout } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('oras', { skip: need('oras') }, () => {
  let sandbox: Sandbox
  let remote: string
  let multi: Descriptor
  const oras = (...args: string[]) => sandbox.run('oras', args)
  const push = () =>
    oras('push', '--plain-http', '--artifact-type', 'application/x.model', `${remote}/model:v1`, 'weights')
  const discover = async (name: string) =>
    JSON.parse(await oras('discover', '--plain-http', '--format=json', `${remote}/${name}`))
  before(async () => {
    sandbox = await createSandbox()
    remote = `${sandbox.host}/oras`
    multi = await multiPlatformLayout(sandbox.path('multi'))
    await sandbox.write('weights', 'weights '.repeat(10_000))
    await sandbox.write('sbom.json', '{}')
    await push()
  })
  after(() => sandbox.dispose())

  it('pushes a file as an artifact and pulls it', async () => {
    await oras('pull', '--plain-http', '--output', sandbox.path('pulled'), `${remote}/model:v1`)
    assert.equal(await readFile(sandbox.path('pulled/weights'), 'utf8'), 'weights '.repeat(10_000))
    const manifest = JSON.parse(await oras('manifest', 'fetch', '--plain-http', `${remote}/model:v1`))
    assert.equal(manifest.artifactType, 'application/x.model')
  })

  it('uploads nothing when the content is there', async () => {
    const events = await sandbox.recorded(push)
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('attaches an artifact and discovers it, also one attached to that', async () => {
    await oras('attach', '--plain-http', '--artifact-type', 'application/x.sbom', `${remote}/model:v1`, 'sbom.json')
    const { referrers } = await discover('model:v1')
    assert.equal(referrers.length, 1)
    const sbom = `model@${referrers[0].digest}`
    await oras('attach', '--plain-http', '--artifact-type', 'application/x.sig', `${remote}/${sbom}`, 'sbom.json')
    assert.equal((await discover(sbom)).referrers[0].artifactType, 'application/x.sig')
  })

  it('copies an artifact to another repository with all its referrers', async () => {
    const events = await sandbox.recorded(() =>
      oras('cp', '-r', '--from-plain-http', '--to-plain-http', `${remote}/model:v1`, `${remote}/copy:v1`),
    )
    assert.equal((await discover('copy:v1')).referrers.length, 1)
    assert.equal(await sandbox.digest('oras/copy', 'v1'), await sandbox.digest('oras/model', 'v1'))
    assert.equal(count(events, 'blob.pushed'), 0)
    assert.ok(count(events, 'blob.mounted', 'oras/copy') >= 3)
  })

  it('copies an index from a layout and back', async () => {
    await oras('cp', '--from-oci-layout', `${sandbox.path('multi')}:v1`, '--to-plain-http', `${remote}/multi:v1`)
    assert.equal(await sandbox.digest('oras/multi', 'v1'), multi.digest)
    await oras('cp', '--from-plain-http', `${remote}/multi:v1`, '--to-oci-layout', `${sandbox.path('out')}:v1`)
    await oras('cp', '--from-oci-layout', `${sandbox.path('out')}:v1`, '--to-plain-http', `${remote}/multi-again:v1`)
    assert.equal(await sandbox.digest('oras/multi-again', 'v1'), multi.digest)
  })

  it('lists artifacts that came with a fallback tag together with the others', async () => {
    const attach = ['attach', '--plain-http', '--artifact-type', 'application/x.old', `${remote}/copy:v1`, 'sbom.json']
    await oras(...attach, '--distribution-spec', 'v1.1-referrers-tag')
    assert.equal((await discover('copy:v1')).referrers.length, 2)
  })

  it('makes an index of artifacts', async () => {
    await oras('manifest', 'index', 'create', '--plain-http', `${remote}/copy:index`, 'v1')
    const index = JSON.parse(await oras('manifest', 'fetch', '--plain-http', `${remote}/copy:index`))
    assert.equal(index.manifests[0].digest, await sandbox.digest('oras/copy', 'v1'))
  })

  it('lists repositories and tags, and deletes', async () => {
    await oras('tag', '--plain-http', `${remote}/multi:v1`, 'v2', 'v3')
    assert.equal(await oras('repo', 'tags', '--plain-http', `${remote}/multi`), 'v1\nv2\nv3')
    assert.match(await oras('repo', 'ls', '--plain-http', sandbox.host), /^oras\/multi$/m)
    await oras('manifest', 'delete', '--plain-http', '--force', `${remote}/multi@${multi.digest}`)
    assert.equal(await oras('repo', 'tags', '--plain-http', `${remote}/multi`), '')
  })
})
