import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { need, run } from '../support/programs.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { ann, bearer, headerOf, jsonOf, type TokenApp, useTokenApp } from './tools.ts'

const [hour, day] = [3600, 86_400]
const scope = 'repository:team/app:pull'
const status = async (app: TokenApp, token: string) => (await app.get('/v2/', bearer(token))).status
const published = async (app: TokenApp) =>
  jsonOf<{ keys: { kid: string }[] }>(await app.get('/token/jwks')).keys.map(({ kid }) => kid)

describe('the keys of the token service', () => {
  it('are followed by new ones without a gap, which are published before they sign', async () => {
    const app = await useTokenApp()
    const kidOf = async () => String(headerOf(await app.token(scope)).kid)
    const first = await kidOf()
    await app.runJobs()
    app.passSeconds(88 * day)
    await app.runJobs()
    assert.equal((await published(app)).length, 2)
    app.passSeconds(1.5 * day)
    await app.runJobs()
    const both = await published(app)
    assert.equal(both.length, 4)
    assert.equal(await kidOf(), first)
    app.passSeconds(day - 60)
    const last = await app.token(scope)
    assert.equal(headerOf(last).kid, first)
    app.passSeconds(120)
    const second = await kidOf()
    assert.ok(second !== first && both.includes(second))
    assert.equal(await status(app, last), 200, 'the old one verifies what it signed')
    app.passSeconds(3 * hour)
    await app.runJobs()
    assert.equal((await published(app)).length, 2)
    assert.equal(await kidOf(), second)
  })

  it('stay when the registry starts again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-token-keys-'))
    const app = await useTokenApp(undefined, folder)
    const [before, certificates, token] = [
      await published(app),
      (await app.get('/token/certificates')).body,
      await app.token(scope),
    ]
    await app.close(0)
    const again = await useTokenApp(undefined, folder)
    after(() => rm(folder, { recursive: true }))
    assert.deepEqual(await published(again), before)
    assert.deepEqual((await again.get('/token/certificates')).body, certificates)
    assert.equal(await status(again, token), 200)
  })

  it('have certificates that the authority vouches for, also after the next', { skip: need('openssl') }, async () => {
    const app = await useTokenApp()
    const bundle = join(app.folder, 'bundle.pem')
    const verify = async (name: string) => {
      const { keys } = jsonOf<{ keys: { x5c: string[] }[] }>(await app.get('/token/jwks'))
      const leaf = join(app.folder, name)
      await writeFile(
        leaf,
        `-----BEGIN CERTIFICATE-----\n${keys
          .at(-1)!
          .x5c[0]!.match(/.{1,64}/g)!
          .join('\n')}\n-----END CERTIFICATE-----\n`,
      )
      return run('openssl', [
        'verify',
        '-x509_strict',
        '-attime',
        String(Math.floor(app.now() / 1000)),
        '-CAfile',
        bundle,
        leaf,
      ])
    }
    await writeFile(bundle, (await app.get('/token/certificates')).body)
    assert.match(await verify('first.pem'), /OK$/)
    app.passSeconds(89.5 * day)
    await app.runJobs()
    assert.match(await verify('second.pem'), /OK$/)
    const text = await run('openssl', ['x509', '-in', bundle, '-noout', '-text'])
    assert.match(text, /Subject: CN = Holdfast token authority\n/)
    assert.match(text, /CA:TRUE/)
  })

  it(
    'are the same for nodes that start at once, and found when another made them',
    { skip: withoutPostgres },
    async () => {
      const postgres = await startPostgres()
      const databaseUrl = await postgres.createDatabase()
      const nodes = await Promise.all(
        [1, 2, 3].map(() => useTokenApp((configuration) => Object.assign(configuration, { databaseUrl }))),
      )
      after(() => postgres.dispose())
      const [one, two] = nodes as [TokenApp, TokenApp]
      const sets = await Promise.all(nodes.map(published))
      assert.equal(new Set(sets.map(String)).size, 1)
      assert.equal(await status(two, await one.token(scope)), 200)
      const refresh = { grant_type: 'password', username: 'ann', password: 'secret', access_type: 'offline' }
      const token = String(jsonOf(await one.post(refresh)).refresh_token)
      assert.equal(
        (await two.post({ grant_type: 'refresh_token', refresh_token: token })).status,
        401,
        'another file of users',
      )
      one.passSeconds(91 * day)
      await one.runJobs()
      one.passSeconds(1.5 * day)
      await one.runJobs()
      const signed = await one.token(scope, ann)
      two.passSeconds(92.5 * day)
      assert.equal(await status(two, signed), 200)
    },
  )
})
