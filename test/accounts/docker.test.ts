import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { adminPassword, basic, passwordOf } from '../support/accounts.ts'
import { startDockerd } from '../support/daemons.ts'
import { need, run } from '../support/programs.ts'
import { startRegistry, type RunningRegistry } from '../support/registry.ts'
import { createSandbox, type Sandbox } from '../support/sandbox.ts'

/** A docker daemon against accounts: with the token service, which they come with, and by Basic on every request. */
for (const tokens of ['true', 'false'])
  describe(`docker with accounts, tokens ${tokens}`, { skip: need('dockerd', 'docker', 'containerd', 'root') }, () => {
    let sandbox: Sandbox
    let registry: RunningRegistry
    let socket: string
    const docker = (args: string[], input = '') =>
      run('docker', ['--host', socket, ...args], { env: sandbox.env, input, timeout: 120_000 })
    const api = async (method: string, path: string, body: object = {}) => {
      const headers = { Authorization: basic('root', adminPassword), 'Content-Type': 'application/json' }
      const reply = await fetch(`${registry.url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) })
      assert.ok(reply.ok, `${method} ${path}: ${reply.status}`)
      return (await reply.json()) as { secret: string }
    }
    const login = (name: string, secret: string) =>
      docker(['login', '-u', name, '--password-stdin', registry.host], secret)

    before(async () => {
      sandbox = await createSandbox()
      socket = await startDockerd(sandbox)
      registry = await startRegistry({
        env: { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword, HOLDFAST_TOKENS_ENABLED: tokens },
      })
      await api('PUT', '/users/ann', { password: passwordOf('ann') })
      await api('PUT', '/users/bob', { password: passwordOf('bob') })
      await api('PUT', '/orgs/acme')
      await api('PUT', '/orgs/acme/members/ann', { role: 'owner' })
      sandbox.env.DOCKER_BUILDKIT = '0'
      await sandbox.write('context/noise', randomBytes(100_000))
      await sandbox.write('context/Dockerfile', 'FROM scratch\nCOPY noise /data/\n')
      await docker(['build', '--tag', `${registry.host}/acme/app:v1`, sandbox.path('context')])
    })
    after(async () => {
      await registry.dispose()
      await sandbox.dispose()
    })

    it('pushes and pulls as who signed in', async () => {
      const image = `${registry.host}/acme/app:v1`
      await assert.rejects(docker(['push', image]), /denied|unauthorized|no basic auth/)
      await assert.rejects(login('ann', 'wrong'), /unauthorized/i)
      assert.match(await login('ann', passwordOf('ann')), /Login Succeeded/)
      await docker(['push', image])
      await docker(['rmi', image])
      await docker(['pull', image])
      await login('bob', passwordOf('bob'))
      await assert.rejects(docker(['push', image]), /denied|unauthorized/)
      await docker(['rmi', image])
      await assert.rejects(docker(['pull', image]), /denied|unauthorized|not found|unknown/)
    })

    it('signs in a robot, and by the names of the clouds', async () => {
      await api('PUT', '/orgs/acme/robots/ci')
      await api('PUT', '/orgs/acme/access/robot:robot.acme.ci', { roles: ['read'] })
      const { secret } = await api('POST', '/orgs/acme/robots/ci/tokens', { name: 'docker' })
      for (const name of ['robot.acme.ci', 'AWS', 'oauth2accesstoken', '00000000-0000-0000-0000-000000000000']) {
        await login(name, secret)
        await docker(['pull', `${registry.host}/acme/app:v1`])
      }
    })

    it(
      'pulls what is public as nobody',
      { skip: tokens === 'false' && 'docker asks for a password where it is told of Basic' },
      async () => {
        await api('PUT', '/repos/acme/app', { visibility: 'public' })
        await docker(['logout', registry.host])
        await docker(['pull', `${registry.host}/acme/app:v1`])
      },
    )
  })
