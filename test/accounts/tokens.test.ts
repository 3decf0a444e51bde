import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { basic, useAccounts } from '../support/accounts.ts'

let time = Date.now()
const accounts = await useAccounts(
  (configuration) => {
    configuration.access = 'closed'
    configuration.tokens = {
      realm: undefined,
      service: 'holdfast',
      issuer: 'holdfast',
      services: [],
      lifeMs: 300_000,
      offline: true,
    }
  },
  { clock: { now: () => new Date(time) } },
)
const { must, addUser, user, status } = accounts
await addUser('ann')
await must('PUT /orgs/acme', { body: {} })
await must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })
const ci = await accounts.addRobot('acme', 'ci', 'read')
await accounts.push('acme/app', user('ann'))
await accounts.push('acme/open', user('ann'))
await must('PUT /repos/acme/open', { body: { visibility: 'public' } })

async function bearer(scope: string, as = '', more = ''): Promise<{ status: number; token: string; refresh: string }> {
  const reply = await fetch(`${accounts.url}/token?service=holdfast&scope=${scope}${more}`, {
    headers: as === '' ? {} : { Authorization: as },
  })
  const body = (await reply.json()) as { token?: string; refresh_token?: string }
  return { status: reply.status, token: `Bearer ${body.token}`, refresh: body.refresh_token ?? '' }
}
const pull = (name: string) => `repository:acme/${name}:pull,push`

describe('the token service over accounts', () => {
  it('grants what the decision allows, to users, robots, access tokens and nobody', async () => {
    for (const [who, as, expected] of [
      ['ann', user('ann'), '202 200 200'],
      ['ci', ci, '401 200 200'],
      ['nobody', '', '401 401 200'],
    ] as const) {
      const { token } = await bearer(`${pull('app')}&scope=${pull('open')}`, as)
      const statuses = [
        await status('POST /acme/app/blobs/uploads/', token),
        await status('GET /acme/app/manifests/v1', token),
        await status('GET /acme/open/manifests/v1', token),
      ]
      assert.equal(statuses.join(' '), expected, who)
    }
    const { secret } = await must('POST /tokens', {
      as: user('ann'),
      body: { name: 'x', scopes: ['repo:read'], repositories: ['acme/open'] },
    })
    const limited = await bearer(`${pull('app')}&scope=${pull('open')}`, basic('ann', secret))
    assert.equal(await status('GET /acme/app/manifests/v1', limited.token), 401)
    assert.equal(await status('GET /acme/open/manifests/v1', limited.token), 200)
    assert.equal(await status('POST /acme/open/blobs/uploads/', limited.token), 401)
  })

  it('refuses wrong and void credentials', async () => {
    assert.equal((await bearer(pull('open'), basic('ann', 'wrong'))).status, 401)
    assert.equal((await bearer(pull('open'), basic('ann', 'holdfast_pat_wrong'))).status, 401)
  })

  it('takes access tokens beside its own, and its own not at the management API', async () => {
    const { secret } = await must('POST /tokens', { as: user('ann'), body: { name: 'y' } })
    assert.equal(await status('GET /acme/app/manifests/v1', `Bearer ${secret}`), 200)
    const { token } = await bearer(pull('app'), user('ann'))
    assert.equal((await accounts.api('GET /me', { as: token })).status, 403)
    assert.equal((await accounts.api('POST /tokens', { as: token, body: { name: 'z' } })).status, 403)
  })

  it('gives no token more life than its access token has', async () => {
    const expiresAt = new Date(time + 60_000).toISOString()
    const { secret } = await must('POST /tokens', { as: user('ann'), body: { name: 'short', expiresAt } })
    const { token } = await bearer(pull('app'), basic('ann', secret))
    assert.equal(await status('GET /acme/app/manifests/v1', token), 200)
    time += 130_000 // and a minute for clocks that differ
    assert.equal(await status('GET /acme/app/manifests/v1', token), 401)
  })

  it('ends refresh tokens with the password they were given for', async () => {
    const { refresh } = await bearer(pull('app'), user('ann'), '&offline_token=true&account=ann')
    if (refresh === '') return
    const renew = () =>
      fetch(`${accounts.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: refresh,
          service: 'holdfast',
          scope: pull('app'),
        }),
      })
    assert.equal((await renew()).status, 200)
    await must('PUT /users/ann', { body: { isDisabled: true } })
    assert.equal((await renew()).status, 401)
    await must('PUT /users/ann', { body: { isDisabled: false } })
  })
})
