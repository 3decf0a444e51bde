import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { useAccounts } from '../support/accounts.ts'

const accounts = await useAccounts()
const { api, must, addUser, user, root } = accounts
for (const name of ['ann', 'bob', 'carl']) await addUser(name)
await must('PUT /orgs/acme', { body: { description: 'the first' } })
await must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })
await must('DELETE /orgs/acme/members/root')
await must('PUT /orgs/acme/members/bob', { body: { role: 'member' } })
await must('PUT /orgs/acme/teams/dev', { body: {} })

describe('the management API', () => {
  it('tells of problems in one form', async () => {
    for (const [request, options, status] of [
      ['GET /nowhere', {}, 404],
      ['POST /users', {}, 405],
      ['GET /users/nobody', {}, 404],
      ['GET /users', { as: '' }, 401],
      ['GET /users', { as: 'Basic eA==' }, 401],
      ['GET /users', { as: user('ann') }, 403],
      ['GET /users?limit=x', {}, 400],
      ['GET /users?limit=1&limit=2', {}, 400],
      ['GET /users?what=1', {}, 400],
      ['GET /users?cursor=x', {}, 400],
      ...[[], ['a', 'b'], ['\0'], [1], 'a'].map((place): [string, object, number] => {
        const cursor = Buffer.from(JSON.stringify(place)).toString('base64url')
        return [`GET /tokens?cursor=${cursor}`, {}, 400]
      }),
      ['PUT /users/x', { body: [] }, 422],
      ['PUT /users/x', { body: { isAdministrator: 'yes' } }, 422],
      ['PUT /users/x', { body: { isAdmin: true } }, 422],
      ['PUT /users/x', { body: '{', headers: { 'Content-Type': 'application/json' } }, 400],
      ['PUT /users/x', { body: 'name=x', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }, 415],
      ['PUT /users/x', { body: { description: 'x'.repeat(2 << 20) } }, 413],
      ['PUT /users/Upper', { body: {} }, 422],
      ...['half of a pair \ud800', '\udc00', 'a\0b'].flatMap((text): [string, object, number][] => [
        ['PUT /users/x', { body: { description: text } }, 422],
        ['PUT /users/x', { body: { password: `a long password ${text}` } }, 422],
        ['POST /session', { body: { name: text, password: 'x' } }, 422],
      ]),
      ['PUT /users/acme', { body: {} }, 409],
      ['PUT /orgs/ann', { body: {} }, 409],
      ['PUT /users/ann', { body: {}, headers: { 'If-None-Match': '*' } }, 412],
      ['PUT /users/ann', { body: {}, headers: { 'If-Match': '"other"' } }, 412],
      ['PUT /policies/p', { body: { document: { Statement: { Effect: 'Allow' } } } }, 422],
      ['DELETE /users/root', {}, 409],
      ['PUT /users/root', { body: { isDisabled: true } }, 409],
      ['DELETE /orgs/acme/members/ann', { as: user('ann') }, 409],
    ] as [string, Parameters<typeof api>[1], number][]) {
      const reply = await api(request, options)
      assert.equal(reply.status, status, `${request}: ${JSON.stringify(reply.body)}`)
      assert.equal(reply.headers.get('content-type'), 'application/problem+json', request)
      assert.equal(reply.headers.get('x-request-id'), reply.body.requestId)
      assert.deepEqual([reply.body.status, typeof reply.body.detail], [status, 'string'])
      if (status === 401) assert.match(String(reply.headers.get('www-authenticate')), /^Basic /)
    }
    const { body } = await api('PUT /users/x', { body: { isAdministrator: 'yes', isAdmin: true } })
    assert.deepEqual(
      body.errors.map(({ pointer }: { pointer: string }) => pointer),
      ['/isAdministrator', '/isAdmin'],
    )
    // A browser would ask its user for a password by itself, and send it with everything from then on.
    const toPage = await api('GET /users', { as: '', headers: { 'Sec-Fetch-Site': 'same-origin' } })
    assert.deepEqual([toPage.status, toPage.headers.get('www-authenticate')], [401, 'Bearer realm="holdfast"'])
    const { headers } = await api('GET /', { headers: { 'X-Request-Id': 'mine-1' } })
    assert.equal(headers.get('x-request-id'), 'mine-1')
  })

  it('gives lists in pages, whose cursors nobody need read', async () => {
    const names: string[] = []
    for (let cursor: string | undefined; ;) {
      const part = await must(`GET /users?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      names.push(...part.items.map(({ name }: { name: string }) => name))
      if (!part.next) break
      cursor = part.next
    }
    assert.deepEqual(names, ['ann', 'bob', 'carl', 'root'])
    assert.deepEqual(
      (await must('GET /orgs/acme/members', { as: user('bob') })).items.map((one: { user: string }) => one.user),
      ['ann', 'bob'],
    )
  })

  it('knows what a client has seen', async () => {
    const seen = await api('GET /orgs/acme')
    const tag = seen.headers.get('etag')!
    const again = await fetch(`${accounts.url}/api/v1/orgs/acme`, {
      headers: { Authorization: root, 'If-None-Match': tag },
    })
    assert.deepEqual([again.status, again.headers.get('etag')], [304, tag])
    const change = async (description: string) =>
      (await api('PUT /orgs/acme', { body: { description }, headers: { 'If-Match': tag } })).status
    const statuses = await Promise.all([change('one'), change('two'), change('three')])
    assert.deepEqual(statuses.toSorted(), [200, 412, 412])
  })

  it('carries a request out once for each Idempotency-Key', async () => {
    const key = randomUUID()
    const make = (name: string, as = user('ann')) =>
      api('POST /tokens', { as, body: { name }, headers: { 'Idempotency-Key': key } })
    const [first, second] = [await make('once'), await make('once')]
    assert.deepEqual([first.status, second.status], [201, 201])
    assert.deepEqual(first.body, second.body)
    assert.equal((await make('another')).status, 422)
    assert.equal((await make('once', user('bob'))).body.account, 'bob', 'keys are of one caller')
    const { items } = await must('GET /tokens', { as: user('ann') })
    assert.equal(items.length, 1)
    const short = await api('POST /tokens', {
      as: user('ann'),
      body: { name: 'x' },
      headers: { 'Idempotency-Key': '1' },
    })
    assert.equal(short.status, 400)
  })

  it('carries it out once also where the same comes several times at once', async () => {
    const headers = { 'Idempotency-Key': randomUUID() }
    const make = () => api('POST /tokens', { as: user('carl'), body: { name: 'at once' }, headers })
    const answers = await Promise.all(Array.from({ length: 8 }, make))
    const made = answers.filter(({ status }) => status === 201)
    assert.ok(made.length > 0 && answers.every(({ status }) => [201, 409].includes(status)))
    assert.equal(new Set(made.map(({ body }) => body.secret)).size, 1)
    const { items } = await must('GET /tokens', { as: user('carl') })
    assert.equal(items.length, 1)
  })

  it('shows, to who signed in by an access token, those that may do no more', async () => {
    const as = user('bob')
    await must('POST /tokens', { as, body: { name: 'wide', scopes: ['repo:admin', 'org:admin'] } })
    await must('POST /tokens', { as, body: { name: 'other', scopes: ['repo:read'], repositories: ['bob/other'] } })
    const body = { name: 'narrow', scopes: ['repo:read'], repositories: ['bob/app'] }
    const { secret } = await must('POST /tokens', { as, body })
    const narrow = { as: `Bearer ${secret}` }
    const { items } = await must('GET /tokens', { as })
    const seen = await must('GET /tokens', narrow)
    assert.deepEqual(
      seen.items.map(({ name }: { name: string }) => name),
      ['narrow'],
    )
    for (const { id, name } of items)
      assert.equal((await api(`GET /tokens/${id}`, narrow)).status, name === 'narrow' ? 200 : 403, name)
    const ids: string[] = []
    for (let next: string | undefined = ''; next !== undefined;) {
      const part = await must(`GET /tokens?limit=1${next && `&cursor=${next}`}`, { as })
      ids.push(...part.items.map(({ id }: { id: string }) => id))
      next = part.next
    }
    assert.deepEqual(
      ids,
      items.map(({ id }: { id: string }) => id),
    )
  })

  it('takes names of repositories as they are, and with encoded slashes', async () => {
    for (const path of ['acme/a/b', 'acme%2Fa%2Fb', 'acme/a%2Fb']) {
      const changed = await must(`PUT /repos/${path}`, { as: user('ann'), body: { visibility: 'public' } })
      assert.equal(changed.name, 'acme/a/b')
      assert.equal((await must(`GET /repos/${path}`, { as: user('carl') })).visibility, 'public')
      await must(`PUT /repos/${path}/-/access/user:carl`, { as: user('ann'), body: { roles: ['AcrPull'] } })
      const { items } = await must(`GET /repos/${path}/-/access`, { as: user('ann') })
      assert.deepEqual(items[0].principal, 'user:carl')
      await must(`DELETE /repos/${path}/-/access/user:carl`, { as: user('ann') })
    }
    for (const path of ['acme//a', 'Acme/a', 'acme/-', 'acme%252Fa', 'acme%2F..%2Fa', 'acme%00'])
      assert.ok([401, 403, 404].includes((await api(`GET /repos/${path}`)).status), path)
  })

  it('grants only within a namespace, and to who is there', async () => {
    const put = async (pattern: string, principal: string, roles: string[]) =>
      (
        await api(
          `PUT /orgs/acme/access/${encodeURIComponent(principal)}?repositories=${encodeURIComponent(pattern)}`,
          { as: user('ann'), body: { roles } },
        )
      ).status
    assert.equal(await put('acme/*', 'user:bob', ['read', 'AcrDelete']), 200)
    assert.equal(await put('other/*', 'user:bob', ['read']), 422)
    assert.equal(await put('*', 'user:bob', ['read']), 422)
    assert.equal(await put('acme*/x', 'user:bob', ['read']), 422)
    assert.equal(await put('acme/*', 'user:nobody', ['read']), 404)
    assert.equal(await put('acme/*', 'team:acme/none', ['read']), 404)
    assert.equal(await put('acme/*', 'bob', ['read']), 422)
    assert.equal(await put('acme/*', 'user:bob', ['superuser']), 422)
    assert.equal(await put('acme/*', 'user:bob', []), 422)
    assert.equal(
      (await api('PUT /orgs/bob/access/user:carl', { as: user('bob'), body: { roles: ['read'] } })).status,
      200,
      "one's own namespace",
    )
  })

  it('describes itself, and describes all it does', async () => {
    const { openapi, paths } = await must('GET /openapi.json', { as: '' })
    assert.equal(openapi, '3.1.0')
    assert.ok(Object.keys(paths).length > 25)
    assert.deepEqual(paths['/users/{name}'].put.requestBody.content['application/json'].schema.properties.isDisabled, {
      type: 'boolean',
    })
    const ids = Object.values(paths).flatMap((path) =>
      Object.values(path as object).map(({ operationId }) => operationId),
    )
    assert.equal(new Set(ids).size, ids.length)
  })

  it('deletes accounts with all that is theirs, and none that has images', async () => {
    await addUser('dora')
    await must('PUT /orgs/acme/members/dora', { body: { role: 'member' } })
    await must('PUT /orgs/acme/teams/dev/members/dora')
    await must('PUT /orgs/acme/access/user:dora', { body: { roles: ['write'] } })
    await must('POST /tokens', { as: user('dora'), body: { name: 'x' } })
    await accounts.push('dora/own', user('dora'))
    assert.equal((await api('DELETE /users/dora')).status, 409)
    await accounts.registry('DELETE /dora/own/manifests/v1', user('dora'))
    await must('PUT /users/dora', { body: { isDisabled: true } })
    assert.equal((await api('DELETE /users/dora')).status, 409, 'blobs are images too')
  })
})

/** Every operation there is, with what each kind of caller gets. A new one must be added here. */
const none = { ann: 403, carl: 403 }
const expected: Record<string, { ann: number; carl: number }> = {
  'GET /openapi.json': { ann: 200, carl: 200 },
  'GET /': { ann: 200, carl: 200 },
  'GET /me': { ann: 200, carl: 200 },
  'POST /setup': { ann: 422, carl: 422 },
  'GET /tokens': { ann: 200, carl: 200 },
  'POST /tokens': { ann: 422, carl: 422 },
  'GET /tokens/{id}': { ann: 404, carl: 404 },
  'POST /tokens/{id}/rotate': { ann: 422, carl: 422 },
  'DELETE /tokens/{id}': { ann: 404, carl: 404 },
  'GET /refusals/{id}': { ann: 404, carl: 404 },
  'GET /orgs': { ann: 200, carl: 200 },
  'GET /orgs/{org}': { ann: 200, carl: 403 },
  'GET /orgs/{org}/members': { ann: 200, carl: 403 },
  'GET /orgs/{org}/teams': { ann: 200, carl: 403 },
  'GET /orgs/{org}/teams/{team}': { ann: 404, carl: 403 },
  'GET /orgs/{org}/robots': { ann: 200, carl: 403 },
  'GET /orgs/{org}/access': { ann: 200, carl: 403 },
  'GET /repos': { ann: 200, carl: 200 },
  'GET /repos/{repository}': { ann: 200, carl: 404 },
  'GET /repos/{repository}/-/access': { ann: 200, carl: 403 },
  'GET /repos/{repository}/-/history': { ann: 200, carl: 404 },
  'GET /repos/{repository}/-/tags': { ann: 200, carl: 404 },
  'PUT /repos/{repository}/-/tags/{tag}': { ann: 422, carl: 404 },
  // There is none: they came with a password.
  'POST /session': { ann: 422, carl: 422 },
  'POST /session/passkey': { ann: 422, carl: 422 },
  'POST /session/passkey/begin': { ann: 200, carl: 200 },
  'POST /me/passkeys': { ann: 422, carl: 422 },
  'GET /session': { ann: 401, carl: 401 },
  'DELETE /session': { ann: 401, carl: 401 },
  'GET /repos/{repository}/-/trash': { ann: 200, carl: 404 },
  'GET /repos/{repository}/-/tags/{tag}': { ann: 200, carl: 404 },
  'PUT /repos/{repository}/-/tags/{tag}/lock': { ann: 422, carl: 404 },
  'DELETE /repos/{repository}/-/tags/{tag}/lock': { ann: 404, carl: 404 },
  'PUT /repos/{repository}/-/tags/{tag}/expiry': { ann: 422, carl: 404 },
  'GET /repos/{repository}/-/rules/{kind}': { ann: 404, carl: 404 },
  'GET /repos/{repository}/-/retention': { ann: 200, carl: 404 },
  'POST /repos/{repository}/-/retention': { ann: 422, carl: 404 },
  'GET /repos/{repository}/-/retention/runs': { ann: 200, carl: 404 },
  'GET /orgs/{org}/retention/runs': { ann: 200, carl: 403 },
  'GET /repos/{repository}/-/images/{image}': { carl: 404, ann: 404 },
  'GET /repos/{repository}/-/usage': { carl: 404, ann: 200 },
  'GET /quotas/{repository}': none,
  'PUT /quotas/{repository}': none,
  'DELETE /quotas/{repository}': none,
}

it('asks in every operation whether the caller may', async () => {
  await accounts.push('acme/hidden', user('ann'))
  const { paths } = await must('GET /openapi.json')
  const values: Record<string, string> = {
    org: 'acme',
    repository: 'acme/hidden',
    name: 'nobody',
    principal: 'user:bob',
    user: 'nobody',
    team: 'none',
    robot: 'none',
    id: 'none',
    tag: 'v1',
    kind: 'retention',
    image: 'none',
  }
  for (const [path, methods] of Object.entries(paths as Record<string, object>))
    for (const method of Object.keys(methods)) {
      const request = `${method.toUpperCase()} ${path}`
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name]!)
      const body = method === 'get' || method === 'delete' ? undefined : { unexpected: true }
      const statusOf = async (as: string) =>
        (await api(`${method.toUpperCase()} ${filled}`, { as, ...(body && { body }) })).status
      const isForAll =
        ['GET /openapi.json', 'GET /', 'POST /setup'].includes(request) || request.startsWith('POST /session')
      if (!isForAll) assert.equal(await statusOf(''), 401, request)
      // Of others' organizations and of the registry a stranger changes nothing: 403 before a word of the body is looked at.
      const wanted = expected[request] ?? (/\{org\}|\{repository\}/.test(path) ? undefined : none)
      assert.equal(await statusOf(user('carl')), wanted?.carl ?? 403, `carl: ${request}`)
      const anns = await statusOf(user('ann'))
      if (wanted) assert.equal(anns, wanted.ann, `ann: ${request}`)
      else assert.ok([204, 404, 409, 422].includes(anns), `ann: ${request}: ${anns}`)
    }
})
