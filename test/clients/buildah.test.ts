import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('buildah', { skip: need('buildah', 'root') }, () => {
  let sandbox: Sandbox
  let remote: string
  const buildah = (command: string, ...args: string[]) => {
    const stores = ['--root', sandbox.path('storage'), '--runroot', sandbox.path('run/storage')]
    return sandbox.run('buildah', [...stores, '--storage-driver=vfs', command, ...args])
  }
  const push = (name: string, ...options: string[]) =>
    buildah('push', '--tls-verify=false', ...options, 'app', `docker://${remote}/${name}`)
  before(async () => {
    sandbox = await createSandbox()
    remote = `${sandbox.host}/buildah`
    const container = await buildah('from', 'scratch')
    await buildah('copy', container, await sandbox.write('greeting', 'hello\n'), '/greeting')
    await buildah('config', '--cmd', '/greeting', container)
    await buildah('commit', '--rm', container, 'app')
    await push('app:v1', '--digestfile', sandbox.path('digest'))
  })
  after(() => sandbox.dispose())

  it('pushes the digest it tells', async () => {
    assert.equal(await sandbox.digest('buildah/app', 'v1'), await readFile(sandbox.path('digest'), 'utf8'))
  })

  it('makes a container of the pulled image with its files in it', async () => {
    await buildah('rmi', '--all')
    const container = await buildah('from', '--tls-verify=false', `${remote}/app:v1`)
    const folder = await buildah('mount', container)
    assert.equal(await readFile(`${folder}/greeting`, 'utf8'), 'hello\n')
    await buildah('commit', '--rm', container, 'app')
  })

  it('uploads nothing when the image is there', async () => {
    await push('twice:v1')
    const events = await sandbox.recorded(() => push('twice:v1'))
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('pushes with the schema 2 types of Docker', async () => {
    await push('app:docker', '--format=v2s2')
    const reply = await fetch(`${sandbox.registry.url}/v2/buildah/app/manifests/docker`)
    assert.equal(reply.headers.get('content-type'), 'application/vnd.docker.distribution.manifest.v2+json')
    await buildah('pull', '--tls-verify=false', `${remote}/app:docker`)
  })
})
