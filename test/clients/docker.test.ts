import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { startDockerd } from '../support/daemons.ts'
import { createLayout, type Descriptor, layerOf, multiPlatformLayout } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { count, createSandbox, type Sandbox } from '../support/sandbox.ts'
import { staticProgram } from '../support/static-program.ts'

describe('docker', { skip: need('dockerd', 'docker', 'containerd', 'root') }, () => {
  let sandbox: Sandbox
  let remote: string
  let socket: string
  let firstDigest: string
  const docker = (...args: string[]) => sandbox.run('docker', ['--host', socket, ...args])
  const digestOf = async (image: string) =>
    (await docker('inspect', '--format', '{{index .RepoDigests 0}}', image)).split('@')[1]
  before(async () => {
    sandbox = await createSandbox()
    remote = `${sandbox.host}/team`
    socket = await startDockerd(sandbox)
    await sandbox.write('context/first', 'first\n')
    await sandbox.write('context/noise', randomBytes(300_000))
    await sandbox.write(
      'context/Dockerfile',
      'FROM scratch\nCOPY first /\nCOPY noise /data/\nENV A=1\nCMD ["/first"]\n',
    )
    sandbox.env.DOCKER_BUILDKIT = '0' // BuildKit needs a plugin that Debian's package lacks
    await docker('build', '--tag', `${remote}/app:v1`, sandbox.path('context'))
    await docker('push', `${remote}/app:v1`)
    firstDigest = await sandbox.digest('team/app', 'v1')
  })
  after(() => sandbox.dispose())

  it('pulls what it pushed under the same digest', async () => {
    const id = await docker('inspect', '--format', '{{.Id}}', `${remote}/app:v1`)
    await docker('rmi', `${remote}/app:v1`)
    await docker('pull', `${remote}/app:v1`)
    assert.equal(await docker('inspect', '--format', '{{.Id}}', `${remote}/app:v1`), id)
    assert.equal(await digestOf(`${remote}/app:v1`), firstDigest)
    assert.match(await docker('history', '--no-trunc', `${remote}/app:v1`), /COPY file:.* in \/data\//)
  })

  it('uploads nothing when the image is there', async () => {
    const events = await sandbox.recorded(() => docker('push', `${remote}/app:v1`))
    assert.equal(count(events, 'blob.pushed'), 0)
    assert.equal(count(events, 'manifest.pushed'), 1)
  })

  it('mounts every layer of a push to another repository', async () => {
    await docker('tag', `${remote}/app:v1`, `${remote}/copy:v1`)
    const events = await sandbox.recorded(() => docker('push', `${remote}/copy:v1`))
    assert.equal(count(events, 'blob.mounted', 'team/copy'), 2)
    assert.equal(count(events, 'blob.pushed'), 1, 'docker uploads the config whatever the registry has')
    assert.equal(await sandbox.digest('team/copy', 'v1'), firstDigest)
  })

  it('pushes and pulls all tags of a repository', async () => {
    for (const tag of ['a', 'b', 'c']) await docker('tag', `${remote}/app:v1`, `${remote}/tags:${tag}`)
    await docker('push', '--all-tags', `${remote}/tags`)
    await docker('rmi', ...['a', 'b', 'c'].map((tag) => `${remote}/tags:${tag}`))
    await docker('pull', '--all-tags', `${remote}/tags`)
    const tags = await docker('images', '--format', '{{.Tag}}', `${remote}/tags`)
    assert.deepEqual(tags.split('\n').toSorted(), ['a', 'b', 'c'])
  })

  it('pulls by digest', async () => {
    await docker('pull', `${remote}/app@${firstDigest}`)
    await assert.rejects(docker('pull', `${remote}/app@sha256:${'0'.repeat(64)}`), /manifest unknown|not found/)
  })

  it('builds on an image of the registry', async () => {
    await sandbox.write('next/Dockerfile', `FROM ${remote}/app:v1\nCOPY --from=${remote}/app:v1 /first /second\n`)
    await docker('build', '--pull', '--tag', `${remote}/next:v1`, sandbox.path('next'))
    const events = await sandbox.recorded(() => docker('push', `${remote}/next:v1`))
    assert.equal(count(events, 'blob.mounted', 'team/next'), 2)
    assert.equal(count(events, 'blob.pushed', 'team/next'), 2)
  })

  it('runs a container from a pulled image', { skip: need('runc') }, async (test) => {
    await mkdir(sandbox.path('program'), { recursive: true })
    const reason = await staticProgram(sandbox, 'program/hello', 'hello from the registry')
    if (reason) return test.skip(reason)
    await sandbox.write('program/Dockerfile', 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n')
    await docker('build', '--tag', `${remote}/hello:v1`, sandbox.path('program'))
    await docker('push', `${remote}/hello:v1`)
    await docker('rmi', `${remote}/hello:v1`)
    assert.equal(await docker('run', '--rm', '--network=host', `${remote}/hello:v1`), 'hello from the registry')
  })

  it('pulls the image for its platform from an index with attestations', { skip: need('skopeo') }, async () => {
    const index = await multiPlatformLayout(sandbox.path('multi'))
    await pushLayout('multi', index)
    await docker('pull', '--platform=linux/arm64', `${remote}/multi:v1`)
    assert.equal(await docker('inspect', '--format', '{{.Architecture}}', `${remote}/multi:v1`), 'arm64')
    assert.equal(await digestOf(`${remote}/multi:v1`), index.digest)
  })

  it('makes and pushes a manifest list of its own', async () => {
    const list = ['manifest', 'create', '--insecure', `${remote}/list:v1`, `${remote}/app:v1`, `${remote}/app:v1`]
    await docker(...list)
    await docker('manifest', 'push', '--insecure', `${remote}/list:v1`)
    const pushed = JSON.parse(await docker('manifest', 'inspect', '--insecure', `${remote}/list:v1`))
    assert.deepEqual(
      pushed.manifests.map((item: Descriptor) => item.digest),
      [firstDigest],
    )
  })

  it('pulls an image of forty layers', { skip: need('skopeo') }, async () => {
    const layout = await createLayout(sandbox.path('deep'))
    const layers = Array.from({ length: 40 }, (_, index) => layerOf({ [`file${index}`]: `${index}` }))
    const image = await layout.name(await layout.image(layers), 'v1')
    await pushLayout('deep', image)
    await docker('pull', `${remote}/deep:v1`)
    assert.equal(await digestOf(`${remote}/deep:v1`), image.digest)
  })

  it('pushes and pulls an image without layers', async () => {
    await sandbox.write('bare/Dockerfile', 'FROM scratch\nLABEL a=b\n')
    await docker('build', '--tag', `${remote}/bare:v1`, sandbox.path('bare'))
    await docker('push', `${remote}/bare:v1`)
    await docker('rmi', `${remote}/bare:v1`)
    await docker('pull', `${remote}/bare:v1`)
    assert.equal(await docker('inspect', '--format', '{{.Config.Labels.a}}', `${remote}/bare:v1`), 'b')
  })

  it('pushes and installs a plugin', async () => {
    const config = {
      interface: { types: ['docker.volumedriver/1.0'], socket: 'plugin.sock' },
      entrypoint: ['/plugin'],
      network: { type: 'none' },
      args: { name: '', description: '', settable: null, value: null },
      linux: { capabilities: null, allowAllDevices: false, devices: null },
    }
    await sandbox.write('plugin/config.json', JSON.stringify(config))
    await sandbox.write('plugin/rootfs/plugin', 'plugin')
    await docker('plugin', 'create', `${remote}/plugin:v1`, sandbox.path('plugin'))
    await docker('plugin', 'push', `${remote}/plugin:v1`)
    await docker('plugin', 'rm', `${remote}/plugin:v1`)
    await docker('plugin', 'install', '--disable', '--grant-all-permissions', `${remote}/plugin:v1`)
    assert.match(await docker('plugin', 'ls'), /plugin:v1/)
  })

  async function pushLayout(name: string, descriptor: Descriptor): Promise<void> {
    const target = `docker://${remote}/${name}:v1`
    await sandbox.run('skopeo', ['copy', '--all', '--dest-tls-verify=false', `oci:${sandbox.path(name)}:v1`, target])
    assert.equal(await sandbox.digest(`team/${name}`, 'v1'), descriptor.digest)
  }
})
