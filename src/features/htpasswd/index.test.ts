import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { createApp } from '../../app.ts'
import { defaultConfiguration } from '../../../test/support/defaults.ts'
import type { Log } from '../../platform/log.ts'

let time = Date.UTC(2030, 0, 1)
const logged: [string, Record<string, unknown>][] = []
const record = (event: string, fields: Record<string, unknown> = {}) => void logged.push([event, fields])
const log: Log = { debug: record, info: record, warn: record, error: record }

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

/** A registry whose users are in `path`. */
async function start(path: string, data: string) {
  const configuration = defaultConfiguration()
  configuration.storage.root = data
  configuration.http.address = { host: '127.0.0.1', port: 0 }
  configuration.auth = { kind: 'htpasswd', realm: 'the "realm"', path }
  const app = await createApp({ configuration, log, clock: { now: () => new Date(time) } })
  const { address } = await app.listen()
  const port = 'port' in address ? address.port : 0
  const get = (authorization?: string, url = '/v2/') =>
    fetch(`http://127.0.0.1:${port}${url}`, authorization === undefined ? {} : { headers: { authorization } })
  return { app, get, status: async (authorization?: string, url?: string) => (await get(authorization, url)).status }
}

describe('htpasswd', () => {
  let folder: string
  let path: string
  let registry: Awaited<ReturnType<typeof start>>
  const write = async (...users: [string, string][]) => {
    time += 1000
    await writeFile(path, users.map(([user, password]) => `${user}:${hashSync(password, 4)}\n`).join(''))
  }
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-htpasswd-'))
    path = join(folder, 'htpasswd')
    await write(['ann', 'secret'], ['bob', 'pass:with:colons'])
    registry = await start(path, folder)
  })
  after(async () => {
    await registry.app.close(0)
    await rm(folder, { recursive: true })
  })

  it('asks strangers for a password, wherever they go', async () => {
    for (const url of [
      '/v2/',
      '/v2',
      '/v2/_catalog',
      '/v2/a/b/tags/list',
      '/v2/a/b/manifests/v1',
      '/v2/_oci/ext/discover',
    ]) {
      const reply = await registry.get(undefined, url)
      assert.equal(reply.status, 401, url)
      assert.equal(reply.headers.get('www-authenticate'), String.raw`Basic realm="the \"realm\""`)
      const { errors } = (await reply.json()) as { errors: { code: string; detail: unknown }[] }
      assert.equal(errors[0]?.code, 'UNAUTHORIZED')
    }
    const { errors } = (await (await registry.get(undefined, '/v2/a/b/tags/list')).json()) as { errors: unknown[] }
    assert.deepEqual(errors, [
      {
        code: 'UNAUTHORIZED',
        message: 'authentication required',
        detail: [{ Type: 'repository', Class: '', Name: 'a/b', Action: 'pull' }],
      },
    ])
    assert.equal(await registry.status(undefined, '/'), 200, 'for probes')
  })

  it('lets in who knows the password', async () => {
    assert.equal(await registry.status(basic('ann', 'secret')), 200)
    assert.equal(await registry.status(basic('bob', 'pass:with:colons')), 200)
    assert.equal(await registry.status(basic('ann', 'secret').replace('Basic', 'basic')), 200)
    assert.equal(await registry.status(basic('ann', 'secret'), '/v2/a/b/tags/list'), 404)
  })

  for (const [what, authorization] of [
    ['a wrong password', basic('ann', 'Secret')],
    ['no password', basic('ann', '')],
    ["another user's password", basic('bob', 'secret')],
    ['a name nobody has', basic('eve', 'secret')],
    ['no name', basic('', 'secret')],
    ['a token', 'Bearer abc'],
    ['no colon', `Basic ${Buffer.from('ann').toString('base64')}`],
    ['what is not base64', 'Basic ann:secret'],
    ['nothing', ''],
    ['a very long password', basic('ann', 'x'.repeat(30_000))],
  ] as const) {
    it(`refuses ${what}, with the challenge`, async () => {
      const reply = await registry.get(authorization)
      assert.equal(reply.status, 401)
      assert.match(reply.headers.get('www-authenticate') ?? '', /^Basic realm=/)
    })
  }

  it('writes no password to the log', async () => {
    await registry.status(basic('ann', 'not-to-be-seen'))
    assert.ok(logged.some(([event, { user }]) => event === 'login.failed' && user === 'ann'))
    assert.ok(!JSON.stringify(logged).includes('not-to-be-seen'))
  })

  it('sees a changed file within a second, also for those who were let in before', async () => {
    await write(['ann', 'changed'], ['carl', 'new'])
    assert.equal(await registry.status(basic('ann', 'secret')), 401)
    assert.equal(await registry.status(basic('ann', 'changed')), 200)
    assert.equal(await registry.status(basic('bob', 'pass:with:colons')), 401)
    assert.equal(await registry.status(basic('carl', 'new')), 200)
  })

  it('keeps its users while the file is broken or gone', async () => {
    await writeFile(path, 'broken\n')
    time += 1000
    assert.equal(await registry.status(basic('carl', 'new')), 200)
    await rm(path)
    time += 1000
    assert.equal(await registry.status(basic('carl', 'new')), 200)
    assert.equal(logged.filter(([event]) => event === 'htpasswd.unreadable').length, 2)
    await write(['carl', 'newer'])
    assert.equal(await registry.status(basic('carl', 'newer')), 200)
  })

  it('compares a password once for all who come with it at the same time, and then not for minutes', async () => {
    time += 1000
    await writeFile(path, `dear:${hashSync('secret', 10)}\n`)
    const begun = performance.now()
    await registry.status(basic('dear', 'secret'))
    const once = performance.now() - begun
    time += 1000
    await writeFile(path, `dear:${hashSync('other', 10)}\n`)
    const again = performance.now()
    const statuses = await Promise.all(Array.from({ length: 60 }, () => registry.status(basic('dear', 'other'))))
    for (let i = 0; i < 60; i++) statuses.push(await registry.status(basic('dear', 'other')))
    assert.deepEqual(new Set(statuses), new Set([200]))
    assert.ok(performance.now() - again < 30 * once, 'each would take a comparison of its own')
  })

  it('makes those wait who try many passwords, not the others', async () => {
    time += 1000
    await writeFile(path, `dear:${hashSync('other', 7)}\n`)
    assert.equal(await registry.status(basic('dear', 'other')), 200)
    const tries = Array.from({ length: 150 }, (_, index) => registry.status(basic('dear', `try ${index}`)))
    assert.equal(await registry.status(basic('dear', 'other')), 200)
    const statuses = new Set(await Promise.all(tries))
    assert.deepEqual(statuses, new Set([401, 429]))
  })
})

describe('an htpasswd file', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-htpasswd-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('that is missing is made, with a user whose password the log tells', async () => {
    const path = join(folder, 'made/with/its/folder')
    const { app, status } = await start(path, join(folder, 'one'))
    const [, made] = logged.findLast(([event]) => event === 'htpasswd.created')!
    assert.equal(made.user, 'docker')
    assert.equal(await status(basic('docker', String(made.password))), 200)
    assert.equal(await status(), 401)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.match(await readFile(path, 'utf8'), /^docker:\$2[aby]\$10\$\S+\n$/)
    await app.close(0)
  })

  it('that cannot be read or made keeps the registry from starting', async () => {
    const broken = join(folder, 'broken')
    await writeFile(broken, 'ann\n')
    await assert.rejects(
      start(broken, join(folder, 'two')),
      /Cannot use auth.htpasswd.path .*broken: line 1: expected USER:HASH/,
    )
    await assert.rejects(start(join(broken, 'below'), join(folder, 'three')), /Cannot use auth.htpasswd.path .*ENOTDIR/)
  })
})
