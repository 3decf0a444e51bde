import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { useAccounts } from '../support/accounts.ts'
import { claimsOf, tokensOn } from './tools.ts'

const time = { ms: Date.now() }
const accounts = await useAccounts(
  (configuration) => {
    configuration.access = 'public-read'
    configuration.tokens = { ...tokensOn, offline: true }
  },
  { clock: { now: () => new Date(time.ms) } },
)
const { must, addUser, user, url, status, push, root } = accounts
for (const name of ['ann', 'bob']) await addUser(name)
await must('PUT /orgs/acme', { body: {} })
await must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })
for (const name of ['acme/app', 'acme/secret', 'bob/own'])
  await push(name, name === 'bob/own' ? user('bob') : user('ann'))
await must('PUT /orgs/acme/access/user:bob?repositories=acme%2Fapp', { body: { roles: ['read'] } })
await must('PUT /repos/acme/secret', { body: { visibility: 'private' } })

const ask = async (query: string, as = '') => {
  const reply = await fetch(`${url}/token?${query}`, { headers: as === '' ? {} : { authorization: as } })
  return { status: reply.status, body: (await reply.json()) as Record<string, string> }
}
const tokenFor = async (scope: string, as = '') => `Bearer ${(await ask(`scope=${scope}`, as)).body.token}`
const grantsFor = async (scope: string, as = '') =>
  claimsOf(await tokenFor(scope, as)).access.map(({ name, actions }) => `${name}:${actions.join(',')}`)

describe('tokens for accounts', () => {
  it('grant what each may, and no more', async () => {
    const all = 'repository:acme/app:pull,push,delete+repository:acme/secret:pull,push'
    assert.deepEqual(await grantsFor(all, user('ann')), ['acme/app:pull,push,delete', 'acme/secret:pull,push'])
    assert.deepEqual(await grantsFor(all, user('bob')), ['acme/app:pull'])
    assert.deepEqual(await grantsFor(all), ['acme/app:pull'], 'what is not private, without an account')
    assert.deepEqual(await grantsFor('registry:catalog:*', user('bob')), ['catalog:*'])
  })

  it('open what they grant, and nothing of the management API', async () => {
    const token = await tokenFor('repository:acme/secret:pull', user('ann'))
    assert.equal(await status('GET /acme/secret/manifests/v1', token), 200)
    assert.equal(await status('GET /acme/app/manifests/v1', token), 401)
    const rootToken = await tokenFor('registry:catalog:*', root)
    for (const path of ['/users', '/me', '/tokens']) {
      const reply = await fetch(`${url}/api/v1${path}`, { headers: { authorization: rootToken } })
      assert.ok([401, 403].includes(reply.status), path)
    }
  })

  it('list what their holder may read', async () => {
    const listed = async (as: string) => {
      const reply = await accounts.registry('GET /_catalog', await tokenFor('registry:catalog:*', as))
      return ((await reply.json()) as { repositories: string[] }).repositories
    }
    assert.deepEqual(await listed(user('ann')), ['acme/app', 'acme/secret', 'bob/own'])
    assert.deepEqual(await listed(user('bob')), ['acme/app', 'bob/own'])
    assert.equal(await status('GET /_catalog', await tokenFor('repository:acme/app:pull', user('ann'))), 401)
  })

  it('are given for access tokens, and say no more than those', async () => {
    const { secret, id } = await must('POST /tokens', {
      as: user('ann'),
      body: { name: 'x', scopes: ['repo:read'], repositories: ['acme/a*'], expiresInDays: 0 },
    })
    const as = `Basic ${btoa(`AWS:${secret}`)}`
    const all = 'repository:acme/app:pull,push+repository:acme/secret:pull'
    assert.deepEqual(await grantsFor(all, as), ['acme/app:pull'])
    const { body } = await ask('offline_token=true', as)
    const refresh = `Bearer ${body.refresh_token}`
    assert.deepEqual(await grantsFor(all, refresh), ['acme/app:pull'])
    await must(`DELETE /tokens/${id}`, { as: user('ann') })
    assert.equal((await ask('', refresh)).status, 401)
    assert.equal(claimsOf(body.token!).credential, id)
  })

  it('are refreshed until the password changes or the account is disabled', async () => {
    const refreshOf = async (as: string) => `Bearer ${(await ask('offline_token=true', as)).body.refresh_token}`
    const [ofAnn, ofBob] = [await refreshOf(user('ann')), await refreshOf(user('bob'))]
    assert.deepEqual([(await ask('', ofAnn)).status, (await ask('', ofBob)).status], [200, 200])
    await must('PUT /users/bob', { body: { isDisabled: true } })
    await must('PUT /users/ann', { body: { password: 'something else entirely' } })
    assert.deepEqual([(await ask('', ofAnn)).status, (await ask('', ofBob)).status], [401, 401])
  })
})
