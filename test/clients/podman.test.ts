import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Descriptor, simpleLayout } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'

describe('podman', { skip: need('podman', 'root') }, () => {
  let sandbox: Sandbox
  let remote: string
  const podman = (command: string, ...args: string[]) => {
    const stores = ['--root', sandbox.path('storage'), '--runroot', sandbox.path('run/storage')]
    const quiet = [
      '--storage-driver=vfs',
      '--events-backend=none',
      '--cgroup-manager=cgroupfs',
      '--tmpdir',
      sandbox.path('run/libpod'),
    ]
    return sandbox.run('podman', [...stores, ...quiet, command, ...args])
  }
  before(async () => {
    sandbox = await createSandbox()
    remote = `${sandbox.host}/podman`
    await sandbox.write('scratch/file', 'file\n')
    await sandbox.write('scratch/Containerfile', 'FROM scratch\nCOPY file /\nCMD ["/file"]\n')
    await podman('build', '--tag', `${remote}/app:v1`, sandbox.path('scratch'))
    await podman('push', '--tls-verify=false', `${remote}/app:v1`)
  })
  after(() => sandbox.dispose())

  it('pulls what it pushed under the same digest', async () => {
    const pushed = await sandbox.digest('podman/app', 'v1')
    const id = await podman('inspect', '--format={{.Id}}', `${remote}/app:v1`)
    await podman('rmi', '--all', '--force')
    await podman('pull', '--tls-verify=false', `${remote}/app:v1`)
    assert.equal(await podman('inspect', '--format={{.Id}}', `${remote}/app:v1`), id)
    assert.equal(await podman('inspect', '--format={{.Digest}}', `${remote}/app:v1`), pushed)
    await podman('pull', '--tls-verify=false', `${remote}/app@${pushed}`)
  })

  it('uploads nothing when the image is there', async () => {
    const events = await sandbox.recorded(() => podman('push', '--tls-verify=false', `${remote}/app:v1`))
    assert.equal(count(events, 'blob.pushed'), 0)
  })

  it('builds on an image of the registry and pushes the result', async () => {
    await sandbox.write('context/more', 'more\n')
    await sandbox.write('context/Containerfile', `FROM ${remote}/app:v1\nCOPY more /\n`)
    await podman('build', '--pull-always', '--tls-verify=false', '--tag', `${remote}/built:v1`, sandbox.path('context'))
    await podman('push', '--tls-verify=false', `${remote}/built:v1`)
    await podman('rmi', `${remote}/built:v1`)
    await podman('pull', '--tls-verify=false', `${remote}/built:v1`)
  })

  it('pushes a manifest list with all its images', async () => {
    const simple = await simpleLayout(sandbox.path('simple'))
    await podman('manifest', 'create', 'list')
    await podman('manifest', 'add', '--tls-verify=false', 'list', `docker://${remote}/app:v1`)
    await podman('manifest', 'add', '--arch=arm64', '--os=linux', 'list', `oci:${sandbox.path('simple')}:v1`)
    await podman('manifest', 'push', '--all', '--tls-verify=false', 'list', `docker://${remote}/list:v1`)
    const reply = await fetch(`${sandbox.registry.url}/v2/podman/list/manifests/v1`)
    const index = (await reply.json()) as { manifests: Descriptor[] }
    assert.equal(index.manifests.length, 2)
    assert.ok(index.manifests.some((item) => item.digest === simple.digest))
  })

  it('pushes an empty manifest list', async () => {
    await podman('manifest', 'create', 'hollow')
    await podman('manifest', 'push', '--tls-verify=false', 'hollow', `docker://${remote}/hollow:v1`)
    assert.match(await sandbox.digest('podman/hollow', 'v1'), /^sha256:/)
  })

  it('searches repositories and the tags of one', async () => {
    const search = (...args: string[]) => podman('search', '--tls-verify=false', ...args)
    assert.match(await search('--list-tags', `${remote}/app`), /podman\/app +v1/)
    assert.match(await search(`${sandbox.host}/podman`), /podman\/app/)
  })
})
