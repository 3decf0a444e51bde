import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { adminPassword } from '../support/accounts.ts'
import { startDockerd } from '../support/daemons.ts'
import { need, run } from '../support/programs.ts'
import { startRegistry, type RunningRegistry } from '../support/registry.ts'
import { createSandbox, type Sandbox } from '../support/sandbox.ts'

const bin = join(import.meta.dirname, '../../bin')

describe("docker's credential helper", () => {
  let folder: string
  let env: NodeJS.ProcessEnv
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-helper-'))
    env = { ...process.env, DOCKER_CONFIG: folder, XDG_CONFIG_HOME: join(folder, 'config') }
    const auth = Buffer.from('bob:from docker').toString('base64')
    await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { 'old.example.com': { auth } } }))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function helper(action: string, input: string): Promise<{ code: number | null; out: string }> {
    const child = spawn(join(bin, 'docker-credential-holdfast'), [action], { env, timeout: 60_000 })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stdin.end(input)
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, out: out.trim() }
  }

  it('stores, gets, lists and erases in a file that nobody else may read', async () => {
    const server = 'registry.example.com:5000'
    const entry = { ServerURL: server, Username: 'ann', Secret: 'a "secret": with\nlines' }
    assert.deepEqual(await helper('store', JSON.stringify(entry)), { code: 0, out: '' })
    assert.deepEqual(JSON.parse((await helper('get', `${server}\n`)).out), entry)
    assert.equal((await stat(join(folder, 'config/holdfast/credentials.json'))).mode & 0o777, 0o600)
    assert.deepEqual(JSON.parse((await helper('list', '')).out), { 'old.example.com': 'bob', [server]: 'ann' })
    assert.equal((await helper('erase', server)).code, 0)
    assert.deepEqual(await helper('get', server), { code: 1, out: 'credentials not found in native keychain' })
    assert.equal(JSON.parse((await helper('get', 'https://old.example.com/')).out).Secret, 'from docker')
  })

  it('says what is wrong where docker looks for it', async () => {
    assert.deepEqual(await helper('get', '__proto__'), { code: 1, out: 'credentials not found in native keychain' })
    assert.deepEqual(await helper('store', '{"Username":"x"}'), { code: 1, out: 'no credentials server URL' })
    assert.deepEqual(await helper('store', '{"ServerURL":"x"}'), { code: 1, out: 'no credentials username' })
    assert.equal((await helper('store', 'no json')).code, 1)
    assert.equal((await helper('steal', '')).code, 1)
  })
})

describe('docker', { skip: need('dockerd', 'docker', 'containerd', 'root') }, () => {
  let sandbox: Sandbox
  let registry: RunningRegistry
  let socket: string
  before(async () => {
    sandbox = await createSandbox()
    socket = await startDockerd(sandbox)
    registry = await startRegistry({ env: { HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword } })
    sandbox.env.PATH = `${bin}${delimiter}${process.env.PATH}`
    sandbox.env.DOCKER_CONFIG = sandbox.path('docker-config')
    sandbox.env.XDG_CONFIG_HOME = sandbox.path('config')
    sandbox.env.DOCKER_BUILDKIT = '0'
    await sandbox.write('docker-config/config.json', JSON.stringify({ credHelpers: { [registry.host]: 'holdfast' } }))
    await sandbox.write('context/Dockerfile', 'FROM scratch\nCOPY Dockerfile /\n')
    await docker(['build', '--tag', `${registry.host}/acme/app:v1`, sandbox.path('context')])
  })
  after(async () => {
    await registry.dispose()
    await sandbox.dispose()
  })
  const docker = (args: string[], input = '') =>
    run('docker', ['--host', socket, ...args], { env: sandbox.env, input, timeout: 120_000 })
  const holdfast = (args: string[], input = '') => run(join(bin, 'holdfast'), args, { env: sandbox.env, input })
  const push = () => docker(['push', `${registry.host}/acme/app:v1`])

  it('is signed in by holdfast login, and out by logout', async () => {
    await assert.rejects(push(), /denied|unauthorized|no basic auth/)
    await holdfast(['login', registry.host, '-u', 'root', '--password-stdin'], adminPassword)
    await push()
    assert.doesNotMatch(await readFile(sandbox.path('docker-config/config.json'), 'utf8'), /"auth"/)
    await holdfast(['logout', registry.host])
    await assert.rejects(push(), /denied|unauthorized|no basic auth/)
  })

  it('signs in by itself with a password of twelve hours, as it does at AWS', async () => {
    await holdfast(['login', registry.host, '-u', 'root', '--password-stdin'], adminPassword)
    const password = await holdfast(['get-login-password'])
    await docker(['logout', registry.host])
    await assert.rejects(push(), /denied|unauthorized|no basic auth/)
    assert.match(await docker(['login', '-u', 'AWS', '--password-stdin', registry.host], password), /Login Succeeded/)
    assert.match(await readFile(sandbox.path('config/holdfast/credentials.json'), 'utf8'), /"AWS"/)
    await push()
  })
})
