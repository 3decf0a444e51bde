import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { useAccounts } from '../support/accounts.ts'
import { holdfast } from '../support/holdfast.ts'
import { startIssuer } from './issuer.ts'
import { basic, bearer, claimsOf, tokensOn } from './tools.ts'

const issuer = await startIssuer()
const accounts = await useAccounts((configuration) => {
  configuration.tokens = { ...tokensOn }
  configuration.access = 'closed'
  configuration.outgoing.allow = ['127.0.0.0/8']
})
const { api, must, addUser, user, status, registry, root, url } = accounts
for (const name of ['ann', 'bob']) await addUser(name)
for (const [org, owner] of [
  ['acme', 'ann'],
  ['evil', 'bob'],
] as const) {
  await must(`PUT /orgs/${org}`, { body: {} })
  await must(`PUT /orgs/${org}/members/${owner}`, { body: { role: 'owner' } })
  await accounts.addRobot(org, 'ci', 'read')
}
await accounts.push('acme/app', root)

const path = '/orgs/acme/robots/ci/trust'
const trust = { issuer: issuer.url, claims: { sub: 'repo:acme/app:*', ref: ['refs/heads/main', 'refs/tags/v*'] } }
const claims = (more: object = {}) => ({
  ...{ iss: issuer.url, aud: url, sub: 'repo:acme/app:main', ref: 'refs/heads/main', jti: randomUUID() },
  ...{ iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 600 },
  ...more,
})
const manifest = 'GET /acme/app/manifests/v1'
const login = 'robot.acme.ci'

describe("a robot's trust", () => {
  it('lets jobs in as the robot, for what that may, until it is removed', async () => {
    const token = issuer.sign(claims())
    assert.equal(await status(manifest, basic(login, token)), 401)
    const { id, audiences, claims: shown } = await must(`POST ${path}`, { as: user('ann'), body: trust })
    assert.deepEqual([audiences, shown], [[url], { ...trust.claims, sub: ['repo:acme/app:*'] }])
    for (const as of [basic(login, token), basic('any', token), bearer(token)])
      assert.equal(await status(manifest, as), 200)
    assert.equal(await status('PUT /acme/app/manifests/v2', basic(login, token)), 403, 'it may read, and no more')
    const issued = await fetch(`${url}/token?service=holdfast&scope=repository:acme/app:pull,push`, {
      headers: { Authorization: basic(login, token) },
    })
    const { token: ours } = (await issued.json()) as { token: string }
    assert.deepEqual(claimsOf(ours).access, [{ type: 'repository', name: 'acme/app', actions: ['pull'] }])
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    }
    const trade = () => fetch(`${url}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) })
    assert.deepEqual([(await trade()).status, (await trade()).status], [200, 401], 'once')
    for (const wrong of [
      { sub: 'repo:evil/app:main' },
      { ref: 'refs/heads/x' },
      { aud: 'other' },
      { exp: 1 },
      { ref: undefined },
    ])
      assert.equal(await status(manifest, basic(login, issuer.sign(claims(wrong)))), 401, JSON.stringify(wrong))
    await must('PUT /orgs/acme/robots/ci', { body: { isDisabled: true } })
    assert.notEqual(await status(manifest, basic(login, token)), 200)
    await must('PUT /orgs/acme/robots/ci', { body: { isDisabled: false } })
    assert.equal((await api(`DELETE ${path}/${id}`, { as: user('ann') })).status, 204)
    assert.equal(await status(manifest, basic(login, token)), 401)
    const { items } = await must('GET /audit?actor=ann')
    const done = items.map(({ action }: { action: string }) => action).filter((one: string) => one.includes('trust'))
    assert.deepEqual(done, ['robot.trust-removed', 'robot.trust-added'])
  })

  it('lets no job make an access token that outlives what it came with', async () => {
    const { id } = await must(`POST ${path}`, { as: user('ann'), body: trust })
    const token = issuer.sign(claims())
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: issuer.sign(claims()),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    }
    const traded = await fetch(`${url}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) })
    const { access_token: lent } = (await traded.json()) as { access_token: string }
    for (const as of [bearer(token), bearer(lent)]) {
      for (const expiresInDays of [0, 1])
        assert.equal((await api('POST /tokens', { as, body: { name: 'x', expiresInDays } })).status, 403)
      const made = await must('POST /tokens', { as, body: { name: 'x' } })
      assert.ok(Date.parse(made.expiresAt) <= Date.now() + 3_600_000)
      assert.equal((await api(`POST /tokens/${made.id}/rotate`, { as, body: { expiresInDays: 0 } })).status, 403)
    }
    await must(`DELETE ${path}/${id}`, { as: user('ann') })
  })

  it('is set by owners alone, and only where it says enough', async () => {
    for (const as of [user('bob'), '']) {
      assert.ok([401, 403].includes((await api(`POST ${path}`, { as, body: trust })).status))
      assert.ok([401, 403].includes((await api(`GET ${path}`, { as })).status))
    }
    for (const [body, pointer] of [
      [{ ...trust, issuer: 'http://issuer.test' }, '/issuer'],
      [{ ...trust, issuer: 'file:///etc/passwd' }, '/issuer'],
      [{ ...trust, issuer: 'https://' }, '/issuer'],
      [{ ...trust, claims: {} }, '/claims'],
      [{ ...trust, claims: { repository: 'acme/app' } }, '/claims'],
      [{ ...trust, claims: { sub: '*' } }, '/claims/sub'],
      [{ ...trust, claims: { sub: [] } }, '/claims/sub'],
      [{ ...trust, claims: { sub: { a: 1 } } }, '/claims/sub'],
    ] as const) {
      const reply = await api(`POST ${path}`, { as: user('ann'), body })
      assert.deepEqual([reply.status, reply.body.errors?.[0].pointer], [422, pointer], JSON.stringify(body))
    }
    assert.equal((await api('POST /orgs/acme/robots/none/trust', { body: trust })).status, 404)
    assert.equal((await api(`DELETE ${path}/none`)).status, 404)
  })

  it("of another owner in somebody's jobs does not take them over", async () => {
    const { id } = await must(`POST ${path}`, { as: user('ann'), body: trust })
    await must('POST /orgs/evil/robots/ci/trust', { as: user('bob'), body: trust })
    const token = issuer.sign(claims())
    assert.equal(await status(manifest, basic(login, token)), 200, 'the user name says which robot is meant')
    const hidden = await status(manifest, basic('robot.evil.ci', token))
    assert.ok([401, 404].includes(hidden), String(hidden))
    const unclear = await registry(manifest, basic('any', token))
    assert.equal(unclear.status, 401)
    assert.match(await unclear.text(), /several robots trust it: take the login of one as user name/)
    await must(`DELETE ${path}/${id}`)
    assert.equal(
      (await registry('GET /', basic(login, token))).status,
      401,
      'nobody becomes another robot than they say',
    )
    await must('DELETE /orgs/evil/robots/ci')
    await must('PUT /orgs/evil/robots/ci', { body: {} })
    assert.equal((await must('GET /orgs/evil/robots/ci/trust')).items.length, 0, 'it goes with its robot')
  })

  it('asks no issuer that is not public', async () => {
    const guarded = await useAccounts((configuration) => {
      configuration.tokens = { ...tokensOn }
      configuration.access = 'closed'
    })
    await guarded.must('PUT /orgs/acme', { body: {} })
    await guarded.addRobot('acme', 'ci', 'read')
    await guarded.must(`POST ${path}`, { body: { ...trust, audiences: [url] } })
    const before = issuer.asked.length
    assert.equal(await guarded.status(manifest, basic(login, issuer.sign(claims()))), 401)
    assert.equal(issuer.asked.length, before)
    assert.match(guarded.logged(), /issuer\.keys-not-fetched .*is not public/)
  })

  it('is set on the command line', async () => {
    process.env.HOLDFAST_URL = url
    const { secret } = await must('POST /tokens', { body: { name: 'cli', scopes: ['org:admin', 'admin'] } })
    process.env.HOLDFAST_TOKEN = secret
    const run = (...args: string[]) => holdfast('robot', 'trust', ...args)
    const subject = ['--subject', 'repo:acme/app:*', '--claim', 'ref=refs/heads/main']
    const added = await run('add', 'acme', 'ci', '--issuer', issuer.url, ...subject, '-o', 'name')
    assert.equal(added.code, 0, added.output)
    const id = added.output.trim()
    assert.match((await run('ls', 'acme', 'ci')).output, new RegExp(`${id}.*${issuer.url}`))
    assert.equal(await status(manifest, basic(login, issuer.sign(claims()))), 200)
    assert.equal((await run('rm', 'acme', 'ci', id)).code, 0)
    assert.equal((await run('rm', 'acme', 'ci', id)).code, 5)
    assert.equal((await run('add', 'acme', 'ci', '--issuer', issuer.url)).code, 2)
    assert.equal((await run('turn', 'acme', 'ci')).code, 2)
  })
})
