import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { need } from '../support/programs.ts'
import { createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('umoci', { skip: need('umoci', 'skopeo') }, () => {
  let sandbox: Sandbox
  let layout: string
  const umoci = (...args: string[]) => sandbox.run('umoci', args)
  const copy = (from: string, to: string) =>
    sandbox.run('skopeo', ['copy', '--src-tls-verify=false', '--dest-tls-verify=false', from, to])
  before(async () => {
    sandbox = await createSandbox()
    layout = sandbox.path('layout')
    await umoci('init', '--layout', layout)
    await umoci('new', '--image', `${layout}:new`)
  })
  after(() => sandbox.dispose())

  it('makes an image without layers that can be pushed', async () => {
    await copy(`oci:${layout}:new`, `docker://${sandbox.host}/umoci/new:v1`)
    const index = JSON.parse(await readFile(`${layout}/index.json`, 'utf8'))
    assert.equal(await sandbox.digest('umoci/new', 'v1'), index.manifests[0].digest)
  })

  it('unpacks what was pushed and pulled with the inserted file in it', async () => {
    const file = await sandbox.write('motd', 'inserted\n')
    const rootless = process.getuid?.() === 0 ? [] : ['--rootless']
    await umoci('insert', ...rootless, '--image', `${layout}:new`, '--tag', 'v1', file, '/etc/motd')
    await copy(`oci:${layout}:v1`, `docker://${sandbox.host}/umoci/app:v1`)
    await copy(`docker://${sandbox.host}/umoci/app:v1`, `oci:${sandbox.path('pulled')}:v1`)
    await umoci('unpack', '--rootless', '--image', `${sandbox.path('pulled')}:v1`, sandbox.path('bundle'))
    assert.equal(await readFile(sandbox.path('bundle/rootfs/etc/motd'), 'utf8'), 'inserted\n')
  })
})
