import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startContainerd } from '../support/daemons.ts'
import { type Descriptor, multiPlatformLayout } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('containerd', { skip: need('containerd', 'ctr', 'skopeo', 'root') }, () => {
  let sandbox: Sandbox
  let remote: string
  let socket: string
  let multi: Descriptor
  const ctr = (...args: string[]) => sandbox.run('ctr', ['--address', socket, ...args])
  before(async () => {
    sandbox = await createSandbox()
    remote = `${sandbox.host}/containerd`
    socket = await startContainerd(sandbox)
    multi = await multiPlatformLayout(sandbox.path('multi'))
    const from = `oci:${sandbox.path('multi')}:v1`
    await sandbox.run('skopeo', ['copy', '--all', '--dest-tls-verify=false', from, `docker://${remote}/app:v1`])
  })
  after(() => sandbox.dispose())

  it('pulls the image for its platform from an index with attestations', async () => {
    await ctr('images', 'pull', '--plain-http', '--snapshotter=native', `${remote}/app:v1`)
    assert.match(await ctr('images', 'list', `name==${remote}/app:v1`), new RegExp(multi.digest))
  })

  it('pulls by digest', async () => {
    await ctr('images', 'pull', '--plain-http', '--snapshotter=native', `${remote}/app@${multi.digest}`)
  })

  it('fetches an index whole and pushes it to another repository under the same digest', async () => {
    await ctr('content', 'fetch', '--plain-http', '--all-platforms', `${remote}/app:v1`)
    assert.match(await ctr('images', 'check', '--snapshotter=native', `name==${remote}/app:v1`), /complete \(/)
    await ctr('images', 'tag', `${remote}/app:v1`, `${remote}/again:v1`)
    await ctr('images', 'push', '--plain-http', `${remote}/again:v1`)
    assert.equal(await sandbox.digest('containerd/again', 'v1'), multi.digest)
  })

  it('uploads nothing when the image is there', async () => {
    const events = await sandbox.recorded(() => ctr('images', 'push', '--plain-http', `${remote}/again:v1`))
    assert.equal(count(events, 'blob.pushed'), 0)
  })
})
