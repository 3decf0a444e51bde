import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { startDockerd } from '../support/daemons.ts'
import { need, run } from '../support/programs.ts'
import { type RunningRegistry, startRegistry } from '../support/registry.ts'
import { createSandbox, type Sandbox } from '../support/sandbox.ts'

const file = `
version: 0.1
storage: { delete: { enabled: true } }
holdfast:
  immutability:
    - name: releases
      repositories: prod/**
      tags: [ 'v*' ]
`

describe('docker and an immutable tag', { skip: need('dockerd', 'docker', 'containerd', 'root') }, () => {
  let sandbox: Sandbox
  let registry: RunningRegistry
  let socket: string
  const docker = (args: string[]) => run('docker', ['--host', socket, ...args], { env: sandbox.env, timeout: 120_000 })
  before(async () => {
    sandbox = await createSandbox()
    socket = await startDockerd(sandbox)
    await sandbox.write('config.yml', file)
    registry = await startRegistry({ file: sandbox.path('config.yml') })
    sandbox.env.DOCKER_BUILDKIT = '0'
  })
  after(async () => {
    await registry.dispose()
    await sandbox.dispose()
  })

  async function build(image: string): Promise<void> {
    await sandbox.write('context/noise', randomBytes(1000))
    await sandbox.write('context/Dockerfile', 'FROM scratch\nCOPY noise /data/\n')
    await docker(['build', '--tag', image, sandbox.path('context')])
  }

  it('shows the sentence, and gives up at once', async () => {
    const image = `${registry.host}/prod/app:v1`
    await build(image)
    await docker(['push', image])
    await docker(['push', image])
    await build(image)
    const begun = performance.now()
    await assert.rejects(
      docker(['push', image]),
      /denied: tag v1 of prod\/app is protected by the immutability rule releases of the configuration and stays at sha256:\w{64}: push another tag/,
    )
    assert.ok(performance.now() - begun < 10_000)
  })
})
