import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sourceOf } from '../../src/features/rate-limits/pulls.ts'
import { useAccounts } from '../support/accounts.ts'
import { useApp } from '../support/app.ts'
import { type Answer, call } from '../support/client.ts'
import { pushIndex, pushText } from '../support/push.ts'
import { ann, basic, bearer, jsonOf, useTokenApp } from './tools.ts'

const limitsOf = ({ status, headers }: Answer) => [
  status,
  headers['ratelimit-limit'],
  headers['ratelimit-remaining'],
  headers['docker-ratelimit-source'],
]

describe('a limit of pulls', () => {
  it('counts as Docker Hub does, by address', async () => {
    const time = { ms: Date.now() }
    const app = await useApp(
      ({ rateLimits, http }) => {
        rateLimits.pulls = { anonymous: 3, signedIn: undefined, organizations: [], windowMs: 21_600_000, exempt: [] }
        http.trustedProxies = ['127.0.0.1']
      },
      { clock: { now: () => new Date(time.ms) } },
    )
    const url = `http://127.0.0.1:${app.port}`
    const index = await pushIndex(url, 'a', 'index', 'text')
    const image = await pushText(url, 'a', 'v1', 'other')
    const ask = (reference: string, { method = 'GET', from = '192.0.2.1', ...headers }: Record<string, string> = {}) =>
      call(url, method, `/v2/a/manifests/${reference}`, { headers: { 'X-Forwarded-For': from, ...headers } })
    assert.deepEqual(limitsOf(await ask('v1', { method: 'HEAD' })), [200, '3;w=21600', '3;w=21600', '192.0.2.1'])
    const first = await ask('index')
    assert.deepEqual(limitsOf(first), [200, '3;w=21600', '2;w=21600', '192.0.2.1'])
    const [child] = jsonOf<{ manifests: { digest: string }[] }>(first).manifests
    assert.equal(limitsOf(await ask(child!.digest))[2], '2;w=21600', 'the image of an index is the same pull')
    assert.equal(limitsOf(await ask(index.digest))[2], '2;w=21600', 'the same again as well')
    assert.equal(limitsOf(await ask('none'))[0], 404)
    assert.equal(limitsOf(await ask('v1', { 'If-None-Match': `"${image.digest}"` }))[2], '2;w=21600', '304 is free')
    assert.equal(limitsOf(await ask('v1'))[2], '1;w=21600')
    time.ms += 61_000
    assert.equal(limitsOf(await ask(image.digest))[2], '0;w=21600', 'a minute later it is another pull')
    const over = await ask('v1')
    assert.deepEqual(limitsOf(over), [429, '3;w=21600', '0;w=21600', '192.0.2.1'])
    assert.equal(jsonOf<{ errors: { code: string }[] }>(over).errors[0]?.code, 'TOOMANYREQUESTS')
    assert.match(String(over.body), /You have reached your pull rate limit: sign in, or come again in 359 minutes/)
    assert.equal(over.headers['retry-after'], String(21_600 - 61))
    assert.equal(limitsOf(await ask('v1', { method: 'HEAD' }))[0], 200, 'HEAD is free')
    assert.equal(
      (await call(url, 'GET', `/v2/a/blobs/${image.digest}`, { headers: { 'X-Forwarded-For': '192.0.2.1' } })).status,
      404,
    )
    assert.equal(limitsOf(await ask('v1', { from: '192.0.2.2' }))[0], 200, 'others go on')
    time.ms += 21_600_000
    assert.equal(limitsOf(await ask('v1'))[0], 200)
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => ask('v1', { from: '2001:db8:0:1::' + i })))
    assert.equal(
      many.filter(({ status }) => status === 200).length,
      3,
      'of many at once as well, from a network of IPv6',
    )
  })

  it('counts users wherever they come from, but those who may always', async () => {
    const app = await useTokenApp(
      ({ rateLimits }) =>
        (rateLimits.pulls = { anonymous: 1, signedIn: 2, organizations: [], windowMs: 3_600_000, exempt: ['bob'] }),
    )
    await app.call('PUT', '/v2/a/manifests/v1', {
      body: '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
      headers: { authorization: ann, 'Content-Type': 'application/vnd.oci.image.index.v1+json' },
    })
    const token = bearer(await app.token('repository:a:pull'))
    const statuses = []
    for (const authorization of [ann, token, ann, token])
      statuses.push((await app.get('/v2/a/manifests/v1', authorization)).status)
    assert.deepEqual(statuses, [200, 200, 429, 429])
    const bob = await app.get('/v2/a/manifests/v1', basic('bob', 'word'))
    assert.deepEqual(limitsOf(bob), [200, undefined, undefined, undefined])
  })

  it('counts what all of an organization pull together, beside what each does', async () => {
    const accounts = await useAccounts(({ rateLimits }) => {
      const organizations = [
        { name: 'acme', limit: 3 },
        { name: 'beta', limit: 1 },
      ]
      rateLimits.pulls = { anonymous: undefined, signedIn: 2, organizations, windowMs: 3_600_000, exempt: ['root'] }
    })
    const { must, user, addUser, registry, root } = accounts
    for (const name of ['ann', 'bob', 'carl']) await addUser(name)
    await must('PUT /orgs/acme', { body: {} })
    await must('PUT /orgs/beta', { body: {} })
    for (const path of ['acme/members/ann', 'acme/members/bob', 'beta/members/bob'])
      await must(`PUT /orgs/${path}`, { body: { role: 'member' } })
    const robot = await accounts.addRobot('acme', 'ci', 'read')
    await accounts.push('acme/app', root)
    await must('PUT /repos/acme/app', { body: { visibility: 'public' } })
    const pull = async (as: string) => {
      const { status, headers } = await registry('GET /acme/app/manifests/v1', as)
      const of = (name: string) => headers.get(name)
      return [status, of('ratelimit-limit'), of('ratelimit-remaining'), of('docker-ratelimit-source')]
    }
    assert.deepEqual(await pull(user('ann')), [200, '2;w=3600', '1;w=3600', 'ann'])
    assert.deepEqual(await pull(user('bob')), [200, '2;w=3600', '1;w=3600', 'bob'], 'to the first one he belongs to')
    assert.deepEqual(await pull(robot), [200, '3;w=3600', '0;w=3600', 'acme'])
    for (const one of [user('ann'), user('bob'), robot])
      assert.deepEqual(await pull(one), [429, '3;w=3600', '0;w=3600', 'acme'])
    assert.deepEqual(await pull(user('carl')), [200, '2;w=3600', '1;w=3600', 'carl'], 'who belongs to none')
    assert.equal((await pull(root))[0], 200)
    assert.equal((await pull(''))[0], 200, 'nobody in particular')
  })

  it('takes 64 bits of an IPv6 address', () => {
    const of = (address: string) => sourceOf({ kind: 'anonymous', address })
    assert.equal(of('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2')
    assert.equal(of('2001:db8::6'), '2001:db8:0:0')
    assert.equal(of('::1'), '0:0:0:0')
    assert.equal(of('fe80::1%eth0'), 'fe80:0:0:0')
    assert.equal(of('192.0.2.1'), '192.0.2.1')
  })
})

describe('a limit of wrong passwords', () => {
  it('lets the address wait, wherever it tries, but not who has a token', async () => {
    const app = await useTokenApp(({ rateLimits }) => (rateLimits.failedLogins = { address: 3, windowMs: 600_000 }))
    const token = await app.token('repository:a:pull')
    assert.equal((await app.get('/v2/')).status, 401, 'no password is no wrong one')
    assert.equal((await app.get('/v2/', 'Basic Og==')).status, 401)
    assert.equal((await app.get('/v2/', basic('ann', '1'))).status, 401)
    assert.equal((await app.get('/token', basic('ann', '2'))).status, 401)
    assert.equal((await app.get('/v2/', ann)).status, 200)
    assert.equal((await app.post({ grant_type: 'password', username: 'ann', password: '3' })).status, 401)
    const form = { grant_type: 'password', username: 'ann', password: 'secret' }
    for (const answer of [await app.get('/v2/', ann), await app.get('/token', ann), await app.post(form)]) {
      assert.equal(answer.status, 429)
      assert.equal(answer.headers['retry-after'], '600')
      assert.match(String(answer.body), /too many wrong passwords from this address: try again in 10 minutes/)
    }
    assert.equal((await app.get('/v2/', bearer(token))).status, 200)
    assert.equal((await app.get('/v2/')).status, 401)
    assert.equal(app.logged().split('logins.limited').length - 1, 1)
    app.passSeconds(600)
    assert.equal((await app.get('/v2/', ann)).status, 200)
  })
})
