import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { basic, passwordOf, useAccounts } from '../support/accounts.ts'

const minute = 60_000
let time = Date.UTC(2030, 0, 1)
const clock = { now: () => new Date(time) }
const accounts = await useAccounts(
  (configuration, folder) => {
    writeFileSync(
      join(folder, 'htpasswd'),
      `old:${hashSync('an old password', 4)}\nann:${hashSync('of the file', 4)}\n`,
    )
    configuration.auth = { kind: 'htpasswd', realm: 'r', path: join(folder, 'htpasswd') }
  },
  { clock },
)
const { must, api, addUser, user, status, root } = accounts
for (const name of ['ann', 'bob', 'carl']) await addUser(name)
await must('PUT /orgs/acme', { body: {} })
await must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })

/** An access token of somebody, as `docker login` would send it. */
async function tokenOf(as: string, body: object = {}): Promise<{ id: string; secret: string; as: string }> {
  const { id, secret } = await must('POST /tokens', { as, body: { name: 'test', ...body } })
  return { id, secret, as: basic('ann', secret) }
}
const [api1, push1] = ['GET /', 'POST /acme/app/blobs/uploads/']

describe('an access token', () => {
  it('signs in as password of any name, and as bearer', async () => {
    const { secret } = await tokenOf(user('ann'))
    for (const as of [
      basic('ann', secret),
      basic('AWS', secret),
      basic('oauth2accesstoken', secret),
      `Bearer ${secret}`,
    ])
      assert.equal(await status(push1, as), 202)
  })

  it('does no more than its scopes, and only where it is for', async () => {
    const reading = await tokenOf(user('ann'), { scopes: ['repo:read'] })
    assert.deepEqual([await status(api1, reading.as), await status(push1, reading.as)], [200, 403])
    const elsewhere = await tokenOf(user('ann'), { repositories: ['acme/web-*'] })
    assert.deepEqual(
      [await status(push1, elsewhere.as), await status('POST /acme/web-1/blobs/uploads/', elsewhere.as)],
      [403, 202],
    )
    const roots = await tokenOf(root, { scopes: ['repo:write'] })
    assert.equal((await api('GET /users', { as: basic('root', roots.secret) })).status, 403)
    const admins = await tokenOf(root, { scopes: ['admin'] })
    assert.equal((await api('GET /users', { as: `Bearer ${admins.secret}` })).status, 200)
  })

  it('makes none that may do more, and changes no password', async () => {
    const { as, secret } = await tokenOf(user('ann'), { scopes: ['repo:read'], repositories: ['acme/*'] })
    const make = async (body: object) => (await api('POST /tokens', { as, body: { name: 'x', ...body } })).status
    assert.equal(await make({ scopes: ['repo:write'], repositories: ['acme/*'] }), 403)
    assert.equal(await make({ scopes: ['repo:read'] }), 403)
    assert.equal(await make({ scopes: ['repo:read'], repositories: ['acme/*'], expiresInDays: 0 }), 403)
    assert.equal(await make({ scopes: ['repo:read'], repositories: ['acme/*'], expiresInDays: 30 }), 201)
    const body = { password: 'another password', current: passwordOf('ann') }
    assert.equal((await api('PUT /users/ann/password', { as, body })).status, 403)
    const other = await tokenOf(user('ann'))
    assert.equal((await api(`POST /tokens/${other.id}/rotate`, { as, body: {} })).status, 403)
    assert.equal((await must('GET /me', { as: `Bearer ${secret}` })).token.scopes[0], 'repo:read')
  })

  it('makes none that outlives it, not by its own rotation either', async () => {
    const day = 24 * 60 * minute
    const body = { name: 'x', scopes: ['repo:read'], expiresAt: new Date(time + day / 2).toISOString() }
    const short = await must('POST /tokens', { as: user('ann'), body })
    const as = `Bearer ${short.secret}`
    for (const expiresInDays of [0, 1, 3650])
      assert.equal((await api(`POST /tokens/${short.id}/rotate`, { as, body: { expiresInDays } })).status, 403)
    const made = await must('POST /tokens', { as, body: { name: 'y', scopes: ['repo:read'] } })
    const next = await must(`POST /tokens/${short.id}/rotate`, { as, body: {} })
    assert.deepEqual([made.expiresAt, next.expiresAt], [short.expiresAt, short.expiresAt])
    time += minute
    const last = await must(`POST /tokens/${next.id}/rotate`, { as: user('ann'), body: {} })
    assert.equal(Date.parse(last.expiresAt), time + day / 2, 'as long as it was made for')
  })

  it('makes and revokes what it may itself, and no others', async () => {
    const wide = await tokenOf(user('ann'), { scopes: ['repo:admin', 'org:admin'] })
    const narrow = await tokenOf(user('ann'), { scopes: ['repo:read'] })
    assert.equal((await api(`DELETE /tokens/${wide.id}`, { as: narrow.as })).status, 403)
    const reading = await must('POST /tokens', {
      as: wide.as,
      body: { name: 'x', scopes: ['org:read', 'repo:delete'] },
    })
    for (const id of [reading.id, narrow.id, wide.id])
      assert.equal((await api(`DELETE /tokens/${id}`, { as: wide.as })).status, 204)
  })

  it('has to do with sessions of browsers only where it is for all that its owner may do', async () => {
    const path = '/users/bob/sessions'
    assert.equal(
      (await api('POST /session', { as: '', body: { name: 'bob', password: passwordOf('bob') } })).status,
      204,
    )
    const { items } = await must(`GET ${path}`, { as: user('bob') })
    const by = async (body: object) => {
      const as = `Bearer ${(await tokenOf(user('bob'), body)).secret}`
      return [(await api(`GET ${path}`, { as })).status, (await api(`DELETE ${path}/${items[0].id}`, { as })).status]
    }
    assert.deepEqual(await by({ scopes: ['repo:read'] }), [403, 403])
    assert.deepEqual(await by({ scopes: ['repo:admin', 'org:admin'], repositories: ['bob/*'] }), [403, 403])
    assert.deepEqual(await by({ scopes: ['repo:admin', 'org:admin'] }), [200, 204])
  })

  it('ends when it expires, is revoked, or its owner is disabled', async () => {
    const short = await tokenOf(user('ann'), { expiresAt: new Date(time + minute).toISOString() })
    assert.equal(await status(api1, short.as), 200)
    time += minute
    assert.equal(await status(api1, short.as), 401)
    const revoked = await tokenOf(user('ann'))
    await must(`DELETE /tokens/${revoked.id}`, { as: user('ann') })
    assert.equal(await status(api1, revoked.as), 401)
    const bobs = await tokenOf(user('bob'))
    assert.deepEqual([await status(api1, bobs.as), await status(api1, user('bob'))], [200, 200])
    await must('PUT /users/bob', { body: { isDisabled: true } })
    assert.deepEqual([await status(api1, bobs.as), await status(api1, user('bob'))], [401, 401])
    await must('PUT /users/bob', { body: { isDisabled: false } })
    assert.deepEqual([await status(api1, bobs.as), await status(api1, user('bob'))], [200, 200])
  })

  it('is rotated with an overlap', async () => {
    const old = await tokenOf(user('ann'))
    const next = await must(`POST /tokens/${old.id}/rotate`, { as: user('ann'), body: { overlapSeconds: 60 } })
    assert.deepEqual([await status(api1, old.as), await status(api1, `Bearer ${next.secret}`)], [200, 200])
    time += minute
    assert.deepEqual([await status(api1, old.as), await status(api1, `Bearer ${next.secret}`)], [401, 200])
    const last = await must(`POST /tokens/${next.id}/rotate`, { as: `Bearer ${next.secret}`, body: {} })
    assert.deepEqual(
      [await status(api1, `Bearer ${next.secret}`), await status(api1, `Bearer ${last.secret}`)],
      [401, 200],
    )
  })

  it('is kept as a hash, told once, and its last use is known', async () => {
    const { id, secret, as } = await tokenOf(user('ann'))
    assert.equal(await status(api1, as), 200)
    const shown = JSON.stringify(await must('GET /tokens?limit=500', { as: user('ann') }))
    assert.ok(shown.includes(id) && !shown.includes(secret))
    assert.ok(!accounts.logged().includes(secret))
    assert.equal((await api(`GET /tokens/${id}`, { as: user('carl') })).status, 404, "another's")
  })

  it('of a robot goes with the robot', async () => {
    const robot = await accounts.addRobot('acme', 'ci', 'write')
    assert.equal(await status(push1, robot), 202)
    await must('PUT /orgs/acme/robots/ci', { body: { isDisabled: true } })
    assert.equal(await status(push1, robot), 401)
    await must('DELETE /orgs/acme/robots/ci')
    await must('PUT /orgs/acme/robots/ci', { body: {} })
    assert.equal(await status(push1, robot), 401)
  })
})

describe('a password', () => {
  it('changes with the present one, and ends the old one at once', async () => {
    const change = async (body: object) => (await api('PUT /users/carl/password', { as: user('carl'), body })).status
    assert.equal(await change({ password: 'another password' }), 403)
    assert.equal(await change({ password: 'short', current: passwordOf('carl') }), 422)
    assert.equal(await change({ password: 'another password', current: passwordOf('carl') }), 204)
    assert.deepEqual(
      [await status(api1, user('carl')), await status(api1, basic('carl', 'another password'))],
      [401, 200],
    )
    assert.equal(
      (await api('PUT /users/carl/password', { as: user('ann'), body: { password: 'taken over' } })).status,
      403,
    )
  })

  it('of the htpasswd file counts for names without an account', async () => {
    const old = basic('old', 'an old password')
    assert.deepEqual([await status(push1, old), await status('GET /_catalog', old)], [202, 200])
    assert.equal((await api('GET /users', { as: old })).status, 403)
    assert.equal(await status(api1, basic('ann', 'of the file')), 401, 'the account decides')
    assert.equal(await status(api1, basic('nobody', 'an old password')), 401)
  })

  it('is refused in the same words and the same time for a name that nobody has', async () => {
    const timed = async (name: string, index: number) => {
      const begun = performance.now()
      const reply = await accounts.registry(api1, basic(name, `wrong ${index}`))
      const text = await reply.text()
      return { ms: performance.now() - begun, text: `${reply.status} ${text}` }
    }
    const [known, unknown] = [await timed('ann', 1), await timed('nobody-else', 1)]
    assert.equal(known.text, unknown.text)
    assert.ok(known.ms >= 245 && unknown.ms >= 245, 'no refusal comes before the slowest check would')
  })

  it('that is tried and tried makes the name wait for that network, and no other name', async () => {
    time += 60 * minute
    const tries: number[] = []
    for (let i = 0; i < 8; i++) tries.push(await status(api1, basic('ann', `guess ${i}`)))
    assert.deepEqual(tries, [401, 401, 401, 401, 401, 401, 429, 429])
    const refused = await accounts.registry(api1, basic('ann', 'yet another'))
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1'])
    assert.match(await refused.text(), /TOOMANYREQUESTS/)
    assert.equal(await status(api1, user('bob')), 200)
    const { as } = await tokenOf(root).then(() => tokenOf(user('bob')))
    assert.equal(await status(api1, as), 200, 'tokens are not concerned')
    time += 2000
    assert.equal(await status(api1, basic('ann', 'guess 9')), 401)
    const more = await accounts.registry(api1, basic('ann', 'guess 10'))
    assert.deepEqual([more.status, more.headers.get('retry-after')], [429, '2'])
    time += 5 * minute
    assert.equal(await status(api1, user('ann')), 200, 'not for ever')
  })

  it('that is tried for many names makes the network wait', async () => {
    time += 60 * minute
    const statuses = await Promise.all(
      Array.from({ length: 80 }, (_, i) => status(api1, basic(`name${i}`, 'password1'))),
    )
    assert.ok(statuses.filter((one) => one === 401).length <= 51)
    assert.ok(statuses.includes(429))
    time += 10 * minute
  })

  it('that is wrong again and again in the same way is not a new try', async () => {
    for (let i = 0; i < 20; i++) assert.equal(await status(api1, basic('bob', 'what the kubelet keeps')), 401)
  })
})

it('takes no name or header for another', async () => {
  time += 60 * minute
  const names = [
    'ann\r\nX-Evil: 1',
    'ann\0',
    ' ann',
    'ann ',
    'ANN',
    'ann/../root',
    '*',
    '%',
    "' or 1=1 --",
    'é'.repeat(200),
  ]
  for (const name of names) {
    assert.equal(await status(api1, basic(name, passwordOf('ann'))), 401, JSON.stringify(name))
    assert.ok(
      [403, 404, 422].includes((await api(`PUT /users/${encodeURIComponent(name)}`, { body: {} })).status),
      name,
    )
  }
  assert.doesNotMatch(accounts.logged(), /^X-Evil/m)
})

it('knows clients of IPv4 and IPv6 by their addresses, where both are listened on', async () => {
  const both = await useAccounts(({ http }) => (http.address = { host: '::', port: 0 }))
  await both.addUser('ann')
  const at = async (host: string, password: string) => {
    const headers = { authorization: basic('ann', password) }
    return (await fetch(`http://${host}:${both.port}/v2/`, { headers })).status
  }
  const [six, four, mapped] = ['[::1]', '127.0.0.1', '[::ffff:127.0.0.1]']
  for (const host of [six, four, mapped]) assert.equal(await at(host, passwordOf('ann')), 200, host)
  for (let i = 1; i <= 5; i++) assert.equal(await at(four, `wrong ${i}`), 401)
  assert.equal(await at(mapped, 'wrong 6'), 401)
  assert.deepEqual([await at(four, 'wrong 7'), await at(mapped, 'wrong 8')], [429, 429], 'one client')
  assert.equal(await at(six, 'wrong 9'), 401, 'another one')
  const { items } = await both.must('GET /audit?action=sign-in.failed')
  const addresses = new Set(items.map(({ address }: { address: string }) => address))
  assert.deepEqual([...addresses].toSorted(), ['127.0.0.1', '::1'])
})
