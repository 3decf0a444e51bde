import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type Descriptor, multiPlatformLayout, simpleLayout } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { sha256 } from '../support/registry.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('regctl', { skip: need('regctl') }, () => {
  let sandbox: Sandbox
  let remote: string
  let simple: Descriptor
  let multi: Descriptor
  const regctl = (...args: string[]) => sandbox.run('regctl', args)
  before(async () => {
    sandbox = await createSandbox()
    remote = `${sandbox.host}/regctl`
    simple = await simpleLayout(sandbox.path('simple'))
    multi = await multiPlatformLayout(sandbox.path('multi'))
    await regctl('registry', 'set', '--tls', 'disabled', sandbox.host)
    await regctl('image', 'copy', `ocidir://${sandbox.path('simple')}:v1`, `${remote}/app:v1`)
  })
  after(() => sandbox.dispose())

  it('copies images and indexes in and out with the same digest', async () => {
    assert.equal(await regctl('image', 'digest', `${remote}/app:v1`), simple.digest)
    await regctl('image', 'copy', `ocidir://${sandbox.path('multi')}:v1`, `${remote}/multi:v1`)
    await regctl('image', 'copy', `${remote}/multi:v1`, `ocidir://${sandbox.path('multi-out')}:v1`)
    await regctl('image', 'copy', `ocidir://${sandbox.path('multi-out')}:v1`, `${remote}/multi-again:v1`)
    assert.equal(await sandbox.digest('regctl/multi-again', 'v1'), multi.digest)
  })

  it('uploads nothing when the image is there', async () => {
    const events = await sandbox.recorded(() =>
      regctl('image', 'copy', '--force-recursive', `ocidir://${sandbox.path('simple')}:v1`, `${remote}/app:v1`),
    )
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('mounts every blob of a copy to another repository', async () => {
    const events = await sandbox.recorded(() => regctl('image', 'copy', `${remote}/app:v1`, `${remote}/copy:v1`))
    assert.equal(count(events, 'blob.mounted', 'regctl/copy'), 4)
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('lists and deletes tags', async () => {
    await regctl('image', 'copy', `${remote}/app:v1`, `${remote}/tags:a`)
    await regctl('image', 'copy', `${remote}/app:v1`, `${remote}/tags:b`)
    assert.equal(await regctl('tag', 'ls', `${remote}/tags`), 'a\nb')
    await regctl('tag', 'delete', `${remote}/tags:a`)
    assert.equal(await regctl('tag', 'ls', `${remote}/tags`), 'b')
    assert.equal(await sandbox.digest('regctl/tags', 'b'), simple.digest)
  })

  it('puts an artifact beside an image and finds it by its type', async () => {
    await sandbox.write('sbom.json', '{"sbom":true}')
    const put = ['artifact', 'put', '--subject', `${remote}/app:v1`, '--artifact-type']
    await regctl(...put, 'application/x.sbom', '--file', 'sbom.json')
    await regctl(...put, 'application/x.signature', '--file', 'sbom.json')
    const all = JSON.parse(await regctl('artifact', 'list', '--format', '{{json .}}', `${remote}/app:v1`))
    assert.equal(all.descriptors.length, 2)
    const filter = ['--filter-artifact-type', 'application/x.sbom', '--format', '{{json .}}']
    const some = JSON.parse(await regctl('artifact', 'list', ...filter, `${remote}/app:v1`))
    assert.equal(some.descriptors.length, 1)
    const sbom = ['artifact', 'get', '--subject', `${remote}/app:v1`, '--filter-artifact-type', 'application/x.sbom']
    assert.equal(await regctl(...sbom), '{"sbom":true}')
    assert.equal((await regctl('tag', 'ls', `${remote}/app`)).includes('sha256-'), false, 'no fallback tag')
  })

  it('copies an image together with its referrers', async () => {
    await regctl('image', 'copy', '--referrers', `${remote}/app:v1`, `${remote}/all:v1`)
    const all = JSON.parse(await regctl('artifact', 'list', '--format', '{{json .}}', `${remote}/all:v1`))
    assert.equal(all.descriptors.length, 2)
  })

  it('uploads a blob in chunks of a mebibyte', async () => {
    const content = randomBytes(3_500_000)
    const chunked = ['--host', `reg=${sandbox.host},tls=disabled,blobChunk=1048576,blobMax=1048576`]
    const put = ['blob', 'put', '--digest', sha256(content), `${remote}/chunks`, ...chunked]
    await sandbox.run('regctl', put, { input: content })
    const reply = await fetch(`${sandbox.registry.url}/v2/regctl/chunks/blobs/${sha256(content)}`)
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), content)
  })

  it('pushes an image whose digests are all sha512', async () => {
    const [from, to] = ['simple', 'sha512'].map((name) => `ocidir://${sandbox.path(name)}:v1`)
    await regctl('image', 'mod', '--digest-algo', 'sha512', '--create', to!, from!)
    await regctl('image', 'copy', to!, `${remote}/sha512:v1`)
    const digest = await regctl('image', 'digest', to!)
    assert.match(digest, /^sha512:/)
    await regctl('image', 'copy', `${remote}/sha512@${digest}`, `${remote}/sha512-copy:v1`)
    await regctl('image', 'copy', `${remote}/sha512@${digest}`, `ocidir://${sandbox.path('sha512-out')}:v1`)
  })

  it('puts a blob of unknown length and gets it back', async () => {
    const content = 'streamed '.repeat(300_000)
    const digest = await sandbox.run('regctl', ['blob', 'put', `${remote}/blobs`], { input: content })
    assert.equal(digest, sha256(content))
    assert.equal(await regctl('blob', 'get', `${remote}/blobs`, digest), content.trim())
  })
})
