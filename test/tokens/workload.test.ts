import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { WorkloadIdentityRule } from '../../src/config/configuration.ts'
import { useAccounts } from '../support/accounts.ts'
import { simpleLayout } from '../support/oci-layout.ts'
import { need, run } from '../support/programs.ts'
import { startIssuer } from './issuer.ts'
import { basic, bearer, claimsOf, jsonOf, type TokenApp, tokensOn, useTokenApp } from './tools.ts'

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

const issuer = await startIssuer()
const rule: WorkloadIdentityRule = {
  name: 'deploy',
  issuer: issuer.url,
  audiences: ['https://registry.test'],
  jwks: undefined,
  conditions: [
    { claim: 'sub', values: ['repo:acme/app:*'] },
    { claim: 'ref', values: ['refs/heads/main', 'refs/tags/v*'] },
    { claim: 'repository_id', values: ['42'] },
  ],
  robot: undefined,
  grants: [{ repository: 'acme/*', actions: ['pull', 'push'] }],
  lifeMs: 1_800_000,
}
const useJobs = (more: Partial<WorkloadIdentityRule> = {}, allow = ['127.0.0.0/8']) =>
  useTokenApp((configuration) => {
    configuration.workloadIdentity = [{ ...rule, ...more }]
    configuration.outgoing.allow = allow
  })
const app = await useJobs()

const claims = (more: object = {}, at: TokenApp = app) => ({
  iss: issuer.url,
  aud: 'https://registry.test',
  sub: 'repo:acme/app:ref:refs/heads/main',
  ref: 'refs/heads/main',
  repository_id: '42',
  jti: randomUUID(),
  iat: Math.floor(at.now() / 1000),
  exp: Math.floor(at.now() / 1000) + 600,
  ...more,
})
const trade = (token: string, at: TokenApp = app, type = jwtType) =>
  at.post({ grant_type: exchange, subject_token: token, subject_token_type: type }, '/oauth2/token')

describe("a job's token", () => {
  it('is a bearer, and a password beside any name, for what the rule grants', async () => {
    const token = issuer.sign(claims())
    for (const authorization of [bearer(token), basic('deploy', token), basic('oidc', token)]) {
      assert.equal((await app.get('/v2/', authorization)).status, 200)
      assert.equal((await app.get('/v2/acme/app/tags/list', authorization)).status, 404)
      const issued = claimsOf(
        await app.token(
          'repository:acme/app:pull,push,delete repository:other/app:pull repository:acme/a/b:pull',
          authorization,
        ),
      )
      assert.deepEqual(issued.access, [{ type: 'repository', name: 'acme/app', actions: ['pull', 'push'] }])
      assert.deepEqual([issued.sub, issued.kind], ['deploy', 'robot'])
    }
    assert.equal((await app.get('/v2/other/app/tags/list', basic('x', token))).status, 403)
    assert.equal((await app.get('/v2/other/app/tags/list', bearer(token))).status, 401)
  })

  it('makes no token that lasts longer than itself, and none that lasts for months', async () => {
    const token = issuer.sign(claims({ exp: Math.floor(app.now() / 1000) + 100 }))
    assert.ok(Number(claimsOf(await app.token('', bearer(token))).exp) <= app.now() / 1000 + 100)
    const form = { grant_type: 'password', username: 'x', password: token, access_type: 'offline' }
    const answer = await app.post(form)
    assert.equal(answer.status, 200)
    assert.equal(jsonOf(answer).refresh_token, undefined)
  })

  const hs = (token: string, secret: string) => {
    const [, body] = token.split('.')
    const signed = `${Buffer.from('{"alg":"HS256","kid":"one"}').toString('base64url')}.${body}`
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
  }
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const bad: [what: string, token: () => string][] = [
    [
      'without a signature',
      () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${issuer.sign(claims()).split('.')[1]}.`,
    ],
    ['signed by HMAC with the public key', () => hs(issuer.sign(claims()), JSON.stringify(issuer.jwks().keys[0]))],
    ['signed by somebody else', () => issuer.sign(claims(), { kid: 'one' }, stranger)],
    ['of an algorithm for other keys', () => issuer.sign(claims(), { kid: 'one', alg: 'ES256' })],
    ['with a key of its own', () => issuer.sign(claims(), { jwk: issuer.jwks().keys[0], kid: 'x' }, stranger)],
    ['of another issuer', () => issuer.sign(claims({ iss: `${issuer.url}/` }))],
    ['for another audience', () => issuer.sign(claims({ aud: 'https://other.test' }))],
    ['for no audience', () => issuer.sign(claims({ aud: undefined }))],
    ['that has expired', () => issuer.sign(claims({ exp: Math.floor(app.now() / 1000) - 61 }))],
    ['that never expires', () => issuer.sign(claims({ exp: undefined }))],
    ['that is not yet valid', () => issuer.sign(claims({ nbf: Math.floor(app.now() / 1000) + 61 }))],
    ['of another subject', () => issuer.sign(claims({ sub: 'repo:acme/app2:ref:refs/heads/main' }))],
    ['of a subject that only ends alike', () => issuer.sign(claims({ sub: 'repo:evil/repo:acme/app:x' }))],
    ['of another branch', () => issuer.sign(claims({ ref: 'refs/heads/mainx' }))],
    ['of another repository under the same name', () => issuer.sign(claims({ repository_id: '43' }))],
    ['without a claim that is asked for', () => issuer.sign(claims({ repository_id: undefined }))],
    ['with an object for a claim', () => issuer.sign(claims({ repository_id: { 42: 42 } }))],
  ]
  for (const [what, token] of bad)
    it(`${what} is refused, in exchange as well`, async () => {
      const made = token()
      assert.equal((await app.get('/v2/', bearer(made))).status, 401)
      assert.equal((await app.get('/token', basic('deploy', made))).status, 401)
      assert.equal((await trade(made)).status, 401)
      assert.ok(!app.logged().includes(made.split('.')[2] || 'nothing'))
    })

  it('may have numbers and lists for claims', async () => {
    const status = async (more: object) => (await app.get('/v2/', bearer(issuer.sign(claims(more))))).status
    assert.equal(await status({ repository_id: 42 }), 200)
    assert.equal(await status({ ref: ['refs/heads/x', 'refs/tags/v1'] }), 200)
    assert.equal(await status({ aud: ['https://other.test', 'https://registry.test'] }), 200)
  })

  it('may act as a robot, as far as there is one', async () => {
    const accounts = await useAccounts((configuration) => {
      configuration.tokens = { ...tokensOn }
      configuration.workloadIdentity = [{ ...rule, robot: 'robot.acme.ci', grants: [] }]
      configuration.outgoing.allow = ['127.0.0.0/8']
    })
    await accounts.must('PUT /orgs/acme', { body: {} })
    const token = issuer.sign({ ...claims(), exp: Math.floor(Date.now() / 1000) + 600 })
    const issued = async () => {
      const query = 'scope=repository:acme/app:pull,push+repository:other/app:pull'
      const reply = await fetch(`${accounts.url}/token?${query}`, { headers: { authorization: bearer(token) } })
      const { sub, kind, access } = claimsOf(((await reply.json()) as { token: string }).token)
      return { sub, kind, access }
    }
    const robot = { sub: 'robot.acme.ci', kind: 'robot' }
    assert.deepEqual(await issued(), { ...robot, access: [] })
    await accounts.addRobot('acme', 'ci', 'write')
    const access = [{ type: 'repository', name: 'acme/app', actions: ['pull', 'push'] }]
    assert.deepEqual(await issued(), { ...robot, access })
  })
})

describe('an exchange', () => {
  it('gives a token for a while, which is bearer and password', async () => {
    const answer = await trade(issuer.sign(claims()))
    assert.equal(answer.status, 200)
    const { access_token: token, token: same, ...rest } = jsonOf<Record<string, string>>(answer)
    assert.deepEqual(rest, {
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 1800,
    })
    assert.equal(token, same)
    for (const authorization of [bearer(token!), basic('deploy', token!)]) {
      assert.equal((await app.get('/v2/acme/app/tags/list', authorization)).status, 404)
      assert.notEqual((await app.get('/v2/other/app/tags/list', authorization)).status, 404)
    }
    app.passSeconds(1790)
    const last = claimsOf(await app.token('repository:acme/app:pull', basic('deploy', token!)))
    assert.ok(Number(last.exp) <= Number(last.iat) + 10)
    app.passSeconds(10)
    assert.equal((await app.get('/v2/', bearer(token!))).status, 401)
  })

  it('takes a token once, however often it is asked at a time, and however it is written', async () => {
    const token = issuer.sign(claims())
    const answers = await Promise.all(Array.from({ length: 10 }, () => trade(token)))
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array(9).fill(401)])
    const without = issuer.sign(claims({ jti: undefined }))
    assert.deepEqual([(await trade(without)).status, (await trade(without)).status], [200, 401])
    assert.equal((await app.get('/v2/', basic('deploy', token))).status, 200, 'to sign in with it is no exchange')
  })

  it("is Quay's as well", async () => {
    const path = '/oauth2/federation/robot/token'
    const token = issuer.sign(claims())
    const answer = await app.get(path, basic('deploy', token))
    assert.equal(answer.status, 200)
    assert.equal((await app.get('/v2/', basic('deploy', String(jsonOf(answer).token)))).status, 200)
    assert.equal((await app.get(path, basic('deploy', token))).status, 401, 'once')
    assert.equal((await app.get(path)).status, 401)
    assert.equal((await app.get(path, basic('ann', 'secret'))).status, 401)
  })

  it('is not for tokens of ours, which would never end', async () => {
    const own = await app.token('', basic('ann', 'secret'))
    assert.equal((await trade(own)).status, 401)
    const traded = String(jsonOf(await trade(issuer.sign(claims()))).access_token)
    assert.equal((await trade(traded)).status, 401)
  })

  it('says what is missing', async () => {
    for (const form of [{}, { subject_token: 'x' }, { subject_token: 'x', subject_token_type: 'saml' }]) {
      const answer = await app.post({ grant_type: exchange, ...form })
      assert.deepEqual([answer.status, jsonOf(answer).error], [400, 'invalid_request'])
    }
  })
})

describe("an issuer's keys", () => {
  it('are asked for once an hour, and once more for a key that is new', async () => {
    const fresh = await useJobs()
    const count = () => issuer.asked.filter((path) => path === '/keys').length
    const ask = async (header?: Record<string, unknown>) =>
      (await fresh.get('/v2/', bearer(issuer.sign(claims({}, fresh), header)))).status
    const begun = count()
    assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => ask())), Array(20).fill(200))
    assert.equal(count() - begun, 1)
    fresh.passSeconds(61)
    issuer.addKey('two')
    assert.equal(await ask({ kid: 'two' }), 200)
    assert.equal(count() - begun, 2)
    fresh.passSeconds(3600)
    await ask()
    assert.equal(count() - begun, 3)
  })

  it('are not asked for by a storm of tokens with keys nobody has', async () => {
    const fresh = await useJobs()
    const begun = issuer.asked.length
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const storm = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        fresh.get('/v2/', bearer(issuer.sign(claims({}, fresh), { kid: `x${i}` }, stranger))),
      ),
    )
    assert.ok(storm.every(({ status }) => status === 401))
    assert.equal(issuer.asked.length - begun, 2, 'discovery and keys')
    assert.equal((await fresh.get('/v2/', bearer(issuer.sign(claims({}, fresh))))).status, 200)
  })

  it('go on while the issuer is away', async () => {
    const fresh = await useJobs()
    const status = async () => (await fresh.get('/v2/', bearer(issuer.sign(claims({}, fresh))))).status
    assert.equal(await status(), 200)
    issuer.status = 503
    fresh.passSeconds(4000)
    assert.equal(await status(), 200)
    assert.match(fresh.logged(), /issuer\.keys-not-fetched/)
    issuer.status = 200
  })

  it('come from a file where there is one', async () => {
    const begun = issuer.asked.length
    const offline = await useTokenApp(
      (configuration, folder) => {
        const jwks = join(folder, 'jwks.json')
        configuration.workloadIdentity = [{ ...rule, jwks }]
      },
      undefined,
      async (folder) => writeFile(join(folder, 'jwks.json'), JSON.stringify(issuer.jwks())),
    )
    assert.equal((await offline.get('/v2/', bearer(issuer.sign(claims({}, offline))))).status, 200)
    assert.equal(
      (
        await offline.get(
          '/v2/',
          bearer(
            issuer.sign(
              claims({}, offline),
              { kid: 'x' },
              generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
            ),
          ),
        )
      ).status,
      401,
    )
    assert.equal(issuer.asked.length, begun)
    const missing = useTokenApp((configuration) => (configuration.workloadIdentity = [{ ...rule, jwks: '/none' }]))
    await assert.rejects(missing, /Cannot use holdfast\.workloadidentity\.jwks \/none: ENOENT/)
  })

  it('are not fetched from where nobody allowed', async () => {
    const begun = issuer.asked.length
    const strict = await useJobs({}, [])
    assert.equal((await strict.get('/v2/', bearer(issuer.sign(claims({}, strict))))).status, 401)
    assert.equal(issuer.asked.length, begun)
    assert.match(strict.logged(), /127\.0\.0\.1 is not public/)
    for (const [discovery, said] of [
      [{ issuer: issuer.url, jwks_uri: 'http://169.254.169.254/latest/meta-data' }, /169\.254\.169\.254 is not public/],
      [{ issuer: issuer.url, jwks_uri: 'http://localhost:1/keys' }, /localhost \(.*\) is not public|ECONNREFUSED/],
      [{ issuer: issuer.url, jwks_uri: 'file:///etc/passwd' }, /is not https/],
      [{ issuer: 'https://other.test', jwks_uri: `${issuer.url}/keys` }, /is of another issuer/],
      [{ issuer: issuer.url }, /names no jwks_uri/],
      [[], /is of another issuer/],
    ] as const) {
      issuer.discovery = discovery
      const fresh = await useJobs()
      assert.equal((await fresh.get('/v2/', bearer(issuer.sign(claims({}, fresh))))).status, 401)
      assert.match(fresh.logged(), said)
    }
    issuer.discovery = undefined
  })
})

describe('skopeo in a job', { skip: need('skopeo') }, () => {
  it('pushes with the token of its platform as password', async () => {
    const real = await useJobs()
    await simpleLayout(join(real.folder, 'layout'))
    const token = issuer.sign(claims({}, real))
    const push = (repository: string) =>
      run('skopeo', [
        'copy',
        '--dest-tls-verify=false',
        `--dest-creds=oidc:${token}`,
        `oci:${real.folder}/layout:v1`,
        `docker://127.0.0.1:${real.port}/${repository}:v1`,
      ])
    await push('acme/app')
    await assert.rejects(push('other/app'), /denied|unauthorized|authentication required/)
  })
})
