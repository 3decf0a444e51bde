import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { basic, useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'

const here = await useAccounts((configuration) => {
  configuration.tokens = {
    ...{ realm: undefined, service: 'holdfast', issuer: 'holdfast', services: [] },
    ...{ lifeMs: 300_000, offline: false },
  }
  configuration.rateLimits.pulls.signedIn = 2
})
for (const name of ['ann', 'bob', 'eve']) await here.addUser(name)
await here.must('PUT /orgs/acme', { body: {} })
await here.must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })
await here.push('acme/app', here.user('ann'))
const bearer = async (name: string, scope: string) => {
  const reply = await fetch(`${here.url}/token?scope=${scope}`, { headers: { Authorization: here.user(name) } })
  return `Bearer ${((await reply.json()) as { token: string }).token}`
}

describe('refusals', () => {
  /** The id that an answer of this status carries. */
  async function idOf(request: string, as: string, status: number, more: RequestInit = {}): Promise<string> {
    const reply = await here.registry(request, as, more)
    await reply.arrayBuffer()
    assert.equal(reply.status, status, request)
    return reply.headers.get('x-request-id') ?? ''
  }
  const explained = (id: string, as = here.root) => here.api(`GET /refusals/${id}`, { as })

  it('carry an id: the harmless one of the client, or a new one', async () => {
    const head = 'HEAD /acme/app/manifests/v1'
    const header = (id: string) => ({ headers: { 'X-Request-Id': id } })
    assert.equal(await idOf(head, '', 401, header('mine-1')), 'mine-1')
    for (const bad of ['a b', 'a"b', 'x'.repeat(65), ''])
      assert.match(await idOf(head, '', 401, header(bad)), /^[\da-f-]{36}$/)
    assert.notEqual(await idOf('GET /', '', 401), '')
    const fine = await here.registry(head, here.user('ann'))
    assert.equal(fine.headers.get('x-request-id'), null)
  })

  it('tell administrators and owners the rule, and whom it happened to nothing that they may not know', async () => {
    const id = await idOf('GET /acme/app/manifests/v1', here.user('bob'), 404)
    for (const as of [here.root, here.user('ann')]) {
      const { status, body } = await explained(id, as)
      assert.equal(status, 200)
      assert.equal(body.identity, 'user:bob')
      assert.equal(body.access, 'repository:acme/app:pull')
      assert.equal(body.rule, 'nothing allows pull')
      assert.match(body.fix, /holdfast repo grant acme\/app user:bob --role read/)
    }
    const own = await explained(id, here.user('bob'))
    assert.equal(own.body.rule, 'nothing allows it')
    const gone = await idOf('GET /acme/none/manifests/v1', here.user('bob'), 404)
    const other = await explained(gone, here.user('bob'))
    const same = ({ body }: typeof own) => [body.rule, body.fix, body.message, Object.keys(body)]
    assert.deepEqual(same(other), same(own))
  })

  it('of the management API name the access as well, also where something is hidden', async () => {
    const lacks = await here.api('GET /orgs/acme/robots', { as: here.user('bob') })
    assert.equal(lacks.status, 403)
    const hidden = await here.api('GET /repos/acme/app', { as: here.user('bob') })
    assert.equal(hidden.status, 404)
    for (const [answer, access, rule] of [
      [lacks, 'organization:acme:admin', 'not a member of acme'],
      [hidden, 'repository:acme/app:pull', 'nothing allows pull'],
    ] as const) {
      const { status, body } = await explained(answer.headers.get('x-request-id')!, here.user('ann'))
      assert.equal(status, 200)
      assert.deepEqual([body.access, body.rule, body.identity], [access, rule, 'user:bob'])
    }
    const own = await explained(hidden.headers.get('x-request-id')!, here.user('bob'))
    assert.equal(own.body.rule, 'nothing allows it')
  })

  it('of a wrong password in a form are told to whose name came with it', async () => {
    const body = { name: 'eve', password: 'wrong in a form' }
    const { status, headers } = await here.api('POST /session', { as: '', body })
    assert.equal(status, 401)
    const { body: told } = await explained(headers.get('x-request-id')!, here.user('eve'))
    assert.deepEqual([told.claimed, told.identity], ['eve', 'nobody'])
  })

  it('are told to nobody else, who is not told either that the id is known', async () => {
    const id = await idOf('GET /acme/app/manifests/v1', here.user('bob'), 404)
    const [known, unknown] = [await explained(id, here.user('eve')), await explained('0000', here.user('eve'))]
    assert.deepEqual([known.status, unknown.status], [404, 404])
    assert.equal(known.body.detail.replace(id, ''), unknown.body.detail.replace('0000', ''))
    assert.equal((await explained(id, '')).status, 401)
  })

  it('of the same id are each told to whom they belong', async () => {
    const more = { headers: { 'X-Request-Id': 'the-same' } }
    await idOf('GET /acme/app/manifests/v1', here.user('bob'), 404, more)
    await idOf('GET /acme/app/manifests/v1', here.user('eve'), 404, more)
    for (const name of ['bob', 'eve'])
      assert.equal((await explained('the-same', here.user(name))).body.identity, `user:${name}`)
  })

  it('of a wrong password are in the log, in the audit log, and told to whose name it was', async () => {
    const id = await idOf('GET /', basic('bob', 'wrong'), 401)
    assert.match(here.logged(), new RegExp(`login.failed user=bob .*requestId=${id}`))
    const { body } = await explained(id, here.user('bob'))
    assert.deepEqual([body.claimed, body.identity], ['bob', 'nobody'])
    assert.match(body.rule, /wrong user name or password/)
    assert.ok(!JSON.stringify(body).includes('wrong:'))
    assert.equal((await explained(id, here.user('eve'))).status, 404)
    const { items } = await here.must('GET /audit?action=sign-in.failed')
    assert.equal(items[0].detail.requestId, id)
  })

  it('of a token for something else say what it is for', async () => {
    const token = await bearer('bob', 'repository:bob/app:pull')
    const id = await idOf('GET /acme/app/manifests/v1', token, 401)
    assert.equal((await explained(id)).body.rule, 'nothing allows pull')
    const own = await idOf('GET /bob/other/manifests/v1', token, 401)
    assert.equal((await explained(own, here.user('bob'))).body.rule, 'the bearer token is not for this')
  })

  it('of the token endpoint, of limits and of the API carry one too', async () => {
    const form = { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }
    const body = 'grant_type=password&username=bob&password=wrong&service=holdfast&client_id=x'
    const reply = await fetch(`${here.url}/token`, { ...form, body })
    assert.equal(reply.status, 401)
    assert.equal((await explained(reply.headers.get('x-request-id')!)).body.claimed, 'bob')
    const get = await fetch(`${here.url}/token`, { headers: { Authorization: basic('bob', 'wrong') } })
    assert.equal((await explained(get.headers.get('x-request-id')!)).body.claimed, 'bob')

    const denied = await here.api('GET /users', { as: here.user('bob') })
    assert.equal(denied.status, 403)
    assert.equal(denied.headers.get('x-request-id'), denied.body.requestId)
    assert.equal((await explained(denied.body.requestId, here.user('bob'))).body.rule, 'not an administrator')

    const pull = () => here.registry('GET /acme/app/manifests/v1', here.user('ann'), {})
    await here.push('acme/b', here.user('ann'))
    await here.push('acme/c', here.user('ann'))
    const limited = await eventually(async () => {
      for (const name of ['app', 'b', 'c']) {
        const one = await here.registry(`GET /acme/${name}/manifests/v1`, here.user('ann'))
        if (one.status === 429) return one
      }
      return pull().then(() => undefined)
    })
    assert.match((await explained(limited.headers.get('x-request-id')!)).body.rule, /pull rate limit/)
  })

  it('are kept for who comes later, and of a push as well', async () => {
    const id = await idOf('POST /acme/app/blobs/uploads/', here.user('bob'), 403)
    const { body } = await explained(id)
    assert.equal(body.status, 403)
    const { items } = await here.must('GET /audit?action=access.denied&actor=bob')
    assert.ok(items.some(({ target }: { target: string }) => target === 'repository:acme/app:pull'))
    const found = await here.must(`GET /refusals/${id}`)
    assert.deepEqual(found, body)
  })
})
