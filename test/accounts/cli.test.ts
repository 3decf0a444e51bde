import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { adminPassword, basic, passwordOf } from '../support/accounts.ts'
import { commandLine } from '../support/command-line.ts'
import { simpleLayout } from '../support/oci-layout.ts'
import { need, run } from '../support/programs.ts'
import { pushImage, type RunningRegistry, startRegistry } from '../support/registry.ts'

describe('the command line', () => {
  let folder: string
  let registry: RunningRegistry
  let env: NodeJS.ProcessEnv
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-cli-'))
    env = { ...process.env, DOCKER_CONFIG: join(folder, 'docker'), XDG_CONFIG_HOME: join(folder, 'config') }
    registry = await startRegistry({ data: join(folder, 'data'), env: { HOLDFAST_ACCESS: 'closed' } })
  })
  after(async () => {
    await registry.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  const { holdfast, must } = commandLine(() => env)

  it('makes the first administrator by the code of the log, once', async () => {
    const code = /setup\.open code=(\S+)/.exec(registry.output())?.[1] ?? ''
    const setup = (given: string, name: string) =>
      holdfast(['setup', registry.host, given, '-u', name, '--password-stdin', '-o', 'name'], adminPassword)
    assert.equal((await setup(`holdfast_set_${'0'.repeat(36)}`, 'root')).code, 4)
    assert.equal((await setup(code, 'root')).out, 'root')
    assert.notEqual((await setup(code, 'root2')).code, 0)
  })

  it('makes users in the database of a registry that runs, which sees them at once', async () => {
    const data = ['--data', join(folder, 'data')]
    await must(['admin', 'user', 'add', 'ann', '--password-stdin', ...data], passwordOf('ann'))
    const password = await must(['admin', 'user', 'add', 'bob', ...data])
    assert.ok(password.length >= 20)
    assert.equal((await holdfast(['admin', 'user', 'add', 'bob', ...data])).code, 6)
    assert.equal((await holdfast(['admin', 'user', 'add', 'Bob', ...data])).code, 2)
    assert.match((await holdfast(['admin', 'user', 'add', 'admin', ...data])).errors, /none of robot, .*admin/)
    const status = async (secret: string) => {
      const authorization = `Basic ${Buffer.from(`bob:${secret}`).toString('base64')}`
      return (await fetch(`${registry.url}/v2/`, { headers: { authorization } })).status
    }
    assert.equal(await status(password), 200)
    await must(['admin', 'user', 'disable', 'bob', ...data])
    assert.equal(await status(password), 401)
    await must(['admin', 'user', 'enable', 'bob', ...data])
    assert.equal(await status(password), 200)
    const begun = await fetch(`${registry.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'bob', password }),
    })
    const cookie = begun.headers.getSetCookie()[0]!.split(';')[0]!
    const stands = async () => (await fetch(`${registry.url}/api/v1/session`, { headers: { cookie } })).status
    assert.equal(await stands(), 200)
    for (const verb of ['disable', 'enable']) await must(['admin', 'user', verb, 'bob', ...data])
    assert.equal(await stands(), 401, 'nor are sessions back with the account')
    assert.equal(await must(['admin', 'user', 'ls', '-o', 'name', ...data]), 'ann\nbob\nroot')
    const last = await holdfast(['admin', 'user', 'disable', 'root', ...data])
    assert.deepEqual([last.code, last.errors], [6, 'holdfast: root is the only administrator: make another one first'])
  })

  it('says which ports it asks nobody at', async () => {
    const { code, errors } = await holdfast(['whoami', '--registry', '127.0.0.1:6000'])
    assert.deepEqual([code, /any browser asks port 6000; let the registry listen/.test(errors)], [2, true], errors)
  })

  it('signs in, keeps a token instead of the password where docker keeps its own, and signs out', async () => {
    const wrong = await holdfast(['login', registry.host, '-u', 'root', '--password-stdin'], 'wrong password')
    assert.equal(wrong.code, 4)
    assert.match(wrong.errors, /^holdfast: wrong user name or password \(401\)/)
    await must(['login', registry.host, '-u', 'root', '--password-stdin'], adminPassword)
    const path = join(folder, 'docker/config.json')
    const { auths } = JSON.parse(await readFile(path, 'utf8')) as { auths: Record<string, { auth: string }> }
    assert.match(Buffer.from(auths[registry.host]!.auth, 'base64').toString(), /^root:holdfast_pat_/)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal(await must(['whoami', '-o', 'name']), 'root')
  })

  it('tells of images that an account gets with its name', async () => {
    await pushImage(registry.url, 'held/app', 'v1', [Buffer.from('a layer')], basic('root', adminPassword))
    const { errors } = await holdfast(['admin', 'user', 'add', 'held', '--data', join(folder, 'data')])
    assert.match(errors, /There are images in the namespace held already: held owns them now/)
  })

  it('tells why something was refused', async () => {
    const reply = await fetch(`${registry.url}/v2/acme/app/manifests/v1`)
    const { code, out } = await holdfast(['explain', reply.headers.get('x-request-id') ?? ''])
    assert.equal(code, 0)
    assert.match(out, /^RULE +nothing allows pull$/m)
    assert.equal((await holdfast(['explain', 'none'])).code, 5)
  })

  it('prints a password of twelve hours', async () => {
    const secret = await must(['get-login-password'])
    assert.match(secret, /^holdfast_pat_/)
    const headers = { Authorization: `Basic ${Buffer.from(`AWS:${secret}`).toString('base64')}` }
    const reply = await fetch(`${registry.url}/api/v1/me`, { headers })
    const { name, token } = (await reply.json()) as { name: string; token: { expiresAt: string; scopes: string[] } }
    assert.deepEqual([name, token.scopes], ['root', ['repo:read', 'repo:write', 'repo:delete']])
    assert.ok(Math.abs(Date.parse(token.expiresAt) - Date.now() - 12 * 3_600_000) < 60_000)
  })

  it('has verbs for organizations, members, teams, robots, access and tokens', async () => {
    await must(['org', 'create', 'acme', '--description', 'The first'])
    assert.equal((await holdfast(['org', 'create', 'acme'])).code, 6)
    await must(['member', 'add', 'acme', 'ann', '--role', 'owner'])
    await must(['member', 'add', 'acme', 'bob'])
    await must(['team', 'create', 'acme', 'dev'])
    await must(['team', 'add', 'acme', 'dev', 'bob'])
    await must(['repo', 'grant', 'acme/web-*', 'team:acme/dev', '--role', 'write'])
    await must(['robot', 'create', 'acme', 'ci'])
    await must(['repo', 'grant', 'acme/*', 'robot:robot.acme.ci', '--role', 'AcrPull', '--role', 'AcrPush'])
    await must(['repo', 'visibility', 'acme/open', 'public'])
    assert.match(await must(['member', 'ls', 'acme']), /^USER +ROLE\nann +owner\nbob +member\nroot +owner$/)
    const access = JSON.parse(await must(['repo', 'access', 'acme/web-1', '-o', 'json'])) as { principal: string }[]
    assert.deepEqual(
      access.map(({ principal }) => principal),
      ['robot:robot.acme.ci', 'team:acme/dev'],
    )
    assert.match(
      await must(['repo', 'explain', 'acme/web-1', 'bob']),
      /push +allowed +team:acme\/dev has write on acme\/web-\*/,
    )
    const secret = await must(['token', 'create', 'laptop', '--scope', 'repo:read', '--expires', '7'])
    assert.match(secret, /^holdfast_pat_/)
    assert.match(await must(['token', 'ls']), /laptop +repo:read/)
    assert.match(await must(['api', 'GET', '/me']), /^\{"kind":"user","name":"root"/)
    assert.match(await must(['audit', 'verify']), /^whole: \d+ records$/)
    assert.match(await must(['audit', 'export']), /"action":"organization\.created"/)
    assert.equal((await holdfast(['org', 'show', 'nix'])).code, 5)
    assert.equal((await holdfast(['org', 'shw', 'nix'])).code, 2)
  })

  it('lists and ends sessions of browsers', async () => {
    const begin = async () => {
      const body = JSON.stringify({ name: 'root', password: adminPassword })
      const headers = { 'Content-Type': 'application/json' }
      const reply = await fetch(`${registry.url}/api/v1/session`, { method: 'POST', headers, body })
      return reply.headers.get('set-cookie')!.split(';')[0]!
    }
    const status = async (cookie: string) =>
      (await fetch(`${registry.url}/api/v1/me`, { headers: { Cookie: cookie } })).status
    const [one, two] = [await begin(), await begin()]
    const [id = '', other = ''] = (await must(['session', 'ls', '-o', 'name'])).split('\n')
    assert.match(await must(['session', 'ls']), new RegExp(`\n${id} +password +20.* 127\\.0\\.0\\.1 +node\n`))
    await must(['session', 'end', id])
    assert.deepEqual([await status(one), await status(two)].toSorted(), [200, 401])
    assert.equal((await holdfast(['session', 'end', id])).code, 5)
    for (const args of [[], [other, '--all']]) assert.equal((await holdfast(['session', 'end', ...args])).code, 2)
    await must(['session', 'end', '--all', '--user', 'root'])
    assert.deepEqual([await status(one), await status(two)], [401, 401])
    assert.equal(await must(['session', 'ls', '-o', 'json']), '[]')
  })

  it('lets a robot push and pull with real clients', { skip: need('crane', 'skopeo') }, async () => {
    const secret = await must(['token', 'create', 'ci', '--robot', 'acme/ci'])
    await simpleLayout(join(folder, 'layout'))
    const image = `${registry.host}/acme/app:v1`
    const creds = ['--dest-creds', `robot.acme.ci:${secret}`, '--dest-tls-verify=false']
    await run('skopeo', ['copy', ...creds, `oci:${folder}/layout:v1`, `docker://${image}`])
    const crane = { ...process.env, DOCKER_CONFIG: join(folder, 'crane') }
    await run('crane', ['auth', 'login', '-u', 'robot.acme.ci', '--password-stdin', registry.host], {
      env: crane,
      input: secret,
    })
    assert.match(await run('crane', ['digest', '--insecure', image], { env: crane }), /^sha256:/)
    await assert.rejects(
      run('crane', ['delete', '--insecure', image], { env: crane }),
      /DENIED|UNAUTHORIZED|Unauthorized/,
    )
    await assert.rejects(
      run('crane', ['copy', '--insecure', image, `${registry.host}/other/app:v1`], { env: crane }),
      /denied|unauthorized/i,
    )
    await run('crane', ['copy', '--insecure', image, `${registry.host}/acme/open:v1`], { env: crane })
    const nobody = { ...process.env, DOCKER_CONFIG: join(folder, 'nobody') }
    await assert.rejects(
      run('crane', ['digest', '--insecure', image], { env: nobody }),
      /UNAUTHORIZED|authentication required/,
    )
  })

  it('signs out, and the token is good no more', async () => {
    const kept = await readFile(join(folder, 'docker/config.json'), 'utf8')
    await must(['logout', registry.host])
    await writeFile(join(folder, 'docker/config.json'), kept)
    assert.equal((await holdfast(['whoami'])).code, 4)
  })

  it('makes a first administrator for a registry that does not run', async () => {
    const data = join(folder, 'another')
    const adding = ['admin', 'user', 'add', '--admin', '--password-stdin', '--data', data]
    assert.match((await holdfast([...adding, 'root'], adminPassword)).errors, /There was no registry in .*another yet/)
    assert.doesNotMatch((await holdfast([...adding, 'second'], adminPassword)).errors, /no registry/)
    const other = await startRegistry({ data })
    assert.equal((await fetch(`${other.url}/v2/`)).status, 401, 'with the first account it is closed')
    await other.stop()
  })

  it('closes a registry that runs by the first account, also when nobody has asked it for long', async () => {
    const data = join(folder, 'open')
    const open = await startRegistry({ data })
    assert.equal((await fetch(`${open.url}/v2/`)).status, 200)
    await must(['admin', 'user', 'add', 'root', '--admin', '--password-stdin', '--data', data], adminPassword)
    await setTimeout(1000) // so old may be what it knows
    assert.equal((await fetch(`${open.url}/v2/`)).status, 401, 'the first request after it')
    await open.stop()
  })
})
