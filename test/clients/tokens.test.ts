import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { startDockerd } from '../support/daemons.ts'
import { simpleLayout } from '../support/oci-layout.ts'
import { need } from '../support/programs.ts'
import { createSandbox, type Sandbox } from '../support/sandbox.ts'

/** Two users, the token service, and refresh tokens for `docker login` where asked for. */
const signIn = (offline: boolean) => (folder: string) => {
  const path = join(folder, 'htpasswd')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, `ann:${hashSync('a secret:word', 4)}\nbob:${hashSync('other', 4)}\n`)
  const tokens = { HOLDFAST_TOKENS_ENABLED: 'true', HOLDFAST_TOKENS_OFFLINE: String(offline) }
  return { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: path, REGISTRY_LOG_LEVEL: 'debug', ...tokens }
}
/** How a client that is not let in says so. */
const refused = /unauthorized|UNAUTHORIZED|authentication required|denied|401|invalid username/i

describe('with the token service', { skip: need('skopeo') }, () => {
  let sandbox: Sandbox
  let image: string
  before(async () => {
    sandbox = await createSandbox(signIn(false))
    image = `${sandbox.host}/team/app:v1`
    await simpleLayout(sandbox.path('layout'))
    const to = ['--dest-tls-verify=false', '--dest-creds=ann:a secret:word']
    await sandbox.run('skopeo', ['copy', ...to, `oci:${sandbox.path('layout')}:v1`, `docker://${image}`])
  })
  after(() => sandbox.dispose())
  const run: Sandbox['run'] = (...args) => sandbox.run(...args)
  /** How many tokens the server issued so far to this user. */
  const issuedTo = (user: string) => sandbox.registry.errors().split(`token.issued user=${user} `).length - 1

  it('skopeo copies with one token for each', async () => {
    const before = issuedTo('bob')
    const from = ['--src-tls-verify=false', '--src-creds=bob:other']
    await run('skopeo', ['copy', ...from, `docker://${image}`, `oci:${sandbox.path('copy')}:v1`])
    assert.equal(issuedTo('bob') - before, 1)
    await assert.rejects(
      run('skopeo', ['inspect', '--tls-verify=false', '--creds=bob:wrong', `docker://${image}`]),
      refused,
    )
    await assert.rejects(run('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`]), refused)
  })

  it('podman signs in, pulls, and signs out', { skip: need('podman', 'root') }, async () => {
    const login = (password: string) =>
      run('podman', ['login', '--tls-verify=false', '--username=ann', '--password-stdin', sandbox.host], {
        input: password,
      })
    const pull = () =>
      run('podman', ['--storage-driver=vfs', '--root', sandbox.path('podman'), 'pull', '--tls-verify=false', image])
    await assert.rejects(login('wrong'), refused)
    await login('a secret:word')
    assert.match(await pull(), /^[\da-f]{64}$/m)
    await run('podman', ['logout', sandbox.host])
    await assert.rejects(pull(), refused)
  })

  it('crane copies, lists and deletes', { skip: need('crane') }, async () => {
    const crane = (...args: string[]) => run('crane', [...args, '--insecure'])
    await assert.rejects(crane('digest', image), refused)
    await run('crane', ['auth', 'login', '-u', 'ann', '--password-stdin', sandbox.host], { input: 'a secret:word' })
    await crane('copy', image, `${sandbox.host}/team/crane:v1`)
    assert.match(await crane('catalog', sandbox.host), /team\/crane/)
    assert.equal(await crane('ls', `${sandbox.host}/team/crane`), 'v1')
    const digest = await crane('digest', `${sandbox.host}/team/crane:v1`)
    await crane('delete', `${sandbox.host}/team/crane@${digest}`)
    await run('crane', ['auth', 'logout', sandbox.host])
  })

  it('regctl copies', { skip: need('regctl') }, async () => {
    const regctl = (...args: string[]) => run('regctl', args)
    await regctl('registry', 'set', '--tls=disabled', sandbox.host)
    await regctl('registry', 'login', '--user=ann', '--pass=a secret:word', sandbox.host)
    await regctl('image', 'copy', image, `${sandbox.host}/team/regctl:v1`)
    await regctl('registry', 'logout', sandbox.host)
    await assert.rejects(regctl('manifest', 'get', image), refused)
  })

  it('oras pushes and pulls', { skip: need('oras') }, async () => {
    const target = `${sandbox.host}/oras/file:v1`
    await sandbox.write('weights', 'weights')
    const push = () => run('oras', ['push', '--plain-http', target, 'weights'])
    await assert.rejects(push(), refused)
    await run('oras', ['login', '--plain-http', '-u', 'bob', '--password-stdin', sandbox.host], { input: 'other' })
    await push()
    await run('oras', ['pull', '--plain-http', '--output', sandbox.path('pulled'), target])
    await run('oras', ['logout', sandbox.host])
  })

  it('helm pushes and pulls a chart', { skip: need('helm') }, async () => {
    await run('helm', ['create', 'app'])
    await run('helm', ['package', 'app', '--version', '1.0.0'])
    const charts = `oci://${sandbox.host}/charts`
    const push = () => run('helm', ['push', '--plain-http', 'app-1.0.0.tgz', charts])
    await assert.rejects(push(), refused)
    const login = ['registry', 'login', '--plain-http', '--username=ann', '--password-stdin', sandbox.host]
    await assert.rejects(run('helm', login, { input: 'wrong' }), refused)
    await run('helm', login, { input: 'a secret:word' })
    await push()
    await run('helm', ['pull', '--plain-http', `${charts}/app`, '--version', '1.0.0', '-d', sandbox.path('tmp')])
  })

  describe('daemons', { skip: need('dockerd', 'docker', 'containerd', 'ctr', 'root') }, () => {
    let socket: string
    before(async () => {
      socket = await startDockerd(sandbox)
    })
    const docker = (...args: string[]) => run('docker', ['--host', socket, ...args])
    const login = (host: string, user: string, password: string) =>
      run('docker', ['--host', socket, 'login', '--username', user, '--password-stdin', host], { input: password })
    const kept = async (host: string) =>
      (
        JSON.parse(await readFile(sandbox.path('home/.docker/config.json'), 'utf8')) as {
          auths: Record<string, { auth: string; identitytoken?: string }>
        }
      ).auths[host]

    it('docker signs in, pulls, pushes, mounts, and signs out', async () => {
      await assert.rejects(docker('pull', image), refused)
      await assert.rejects(login(sandbox.host, 'ann', 'wrong'), refused)
      assert.match(await login(sandbox.host, 'ann', 'a secret:word'), /Login Succeeded/)
      assert.equal((await kept(sandbox.host))?.identitytoken, undefined, 'it keeps the password')
      await docker('pull', image)
      await docker('tag', image, `${sandbox.host}/other/app:v2`)
      await docker('push', `${sandbox.host}/other/app:v2`)
      await docker('logout', sandbox.host)
      await assert.rejects(docker('push', `${sandbox.host}/other/app:v2`), refused)
      assert.match(await login(sandbox.host, 'bob', 'other'), /Login Succeeded/)
      await docker('push', `${sandbox.host}/other/app:v2`)
    })

    it('docker keeps a refresh token where it is given one, and pushes with it', async () => {
      const other = await createSandbox(signIn(true))
      sandbox.defer(() => other.dispose())
      assert.match(await login(other.host, 'ann', 'a secret:word'), /Login Succeeded/)
      const { auth, identitytoken } = (await kept(other.host))!
      assert.match(identitytoken ?? '', /^holdfast_ref_/)
      assert.ok(!Buffer.from(auth, 'base64').toString().includes('secret'))
      await docker('tag', image, `${other.host}/team/app:v1`)
      await docker('push', `${other.host}/team/app:v1`)
      await docker('rmi', `${other.host}/team/app:v1`)
      await docker('pull', `${other.host}/team/app:v1`)
      await docker('logout', other.host)
      for (const user of [
        'AWS',
        'oauth2accesstoken',
        '_json_key',
        'USERNAME',
        '00000000-0000-0000-0000-000000000000',
      ]) {
        assert.match(await login(other.host, user, identitytoken!), /Login Succeeded/)
        await docker('pull', `${other.host}/team/app:v1`)
      }
    })

    it('containerd pulls and pushes with a form', async () => {
      const ctr = (...args: string[]) => run('ctr', ['--address', sandbox.path('containerd.sock'), ...args])
      const images = (verb: string, user: string, name: string) =>
        ctr('images', verb, '--plain-http', '--user', user, ...(verb === 'pull' ? ['--snapshotter=native'] : []), name)
      await assert.rejects(images('pull', 'ann:wrong', image), refused)
      await images('pull', 'ann:a secret:word', image)
      await ctr('images', 'tag', image, `${sandbox.host}/team/ctr:v1`)
      await images('push', 'bob:other', `${sandbox.host}/team/ctr:v1`)
    })
  })
})
