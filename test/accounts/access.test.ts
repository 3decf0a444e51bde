import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { basic, useAccounts } from '../support/accounts.ts'
import { pushBlob } from '../support/registry.ts'

const pull = '/manifests/v1'

const accounts = await useAccounts()
const { must, addUser, user, push } = accounts
for (const name of ['ann', 'bob', 'carl', 'dora']) await addUser(name)
await must('PUT /orgs/acme', { body: {} })
await must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })
await must('PUT /orgs/acme/members/bob', { body: { role: 'member' } })
await must('PUT /orgs/acme/teams/dev', { body: {} })
await must('PUT /orgs/acme/teams/dev/members/bob')
await must('PUT /orgs/acme/access/team:acme%2Fdev?repositories=acme/web-*', { body: { roles: ['write'] } })
const ci = await accounts.addRobot('acme', 'ci', 'write')
await push('acme/app', user('ann'))
await push('acme/web-1', user('bob'))
await push('ann/own', user('ann'))
await push('acme/open', ci)
await must('PUT /repos/acme/open', { body: { visibility: 'public' }, as: user('ann') })

/** What somebody gets for a repository that is private and for one that is not there, but for their names. */
async function bothOf({ registry }: Pick<typeof accounts, 'registry'>, path: string, as: string, names: string[]) {
  return Promise.all(
    names.map(async (name) => {
      const reply = await registry(`GET /${name}${path}`, as, { headers: { 'X-Request-Id': 'the-same' } })
      const headers = [...reply.headers].filter(([header]) => header !== 'date').toString()
      return `${reply.status} ${headers} ${await reply.text()}`.replaceAll(name, 'NAME')
    }),
  )
}
const paths = [pull, '/tags/list', `/blobs/sha256:${'0'.repeat(64)}`, `/referrers/sha256:${'0'.repeat(64)}`]

describe('who may do what at the registry', () => {
  const table: [string, string, string][] = [
    // the status of pulling acme/app, acme/web-1, acme/open, ann/own and of what is not there, and of beginning a push to each
    ['nobody', '401 401 200 401 401', '401 401 401 401 401'],
    ['carl', '404 404 200 404 404', '403 403 403 403 403'],
    ['bob', '404 200 200 404 404', '403 202 403 403 403'],
    ['ann', '200 200 200 200 404', '202 202 202 202 202'],
    ['ci', '200 200 200 404 404', '202 202 202 403 202'],
    ['root', '200 200 200 200 404', '202 202 202 202 202'],
  ]
  for (const [who, pulls, pushes] of table) {
    it(`lets ${who} do what they may`, async () => {
      const as = { nobody: '', ci, root: accounts.root }[who] ?? accounts.user(who)
      const repositories = ['acme/app', 'acme/web-1', 'acme/open', 'ann/own', 'acme/none']
      const statuses = (request: (name: string) => string) =>
        Promise.all(repositories.map((name) => accounts.status(request(name), as)))
      assert.equal((await statuses((name) => `GET /${name}${pull}`)).join(' '), pulls)
      assert.equal((await statuses((name) => `POST /${name}/blobs/uploads/`)).join(' '), pushes)
    })
  }

  it('tells nobody whether a repository is there that they may not read, not by a byte', async () => {
    for (const path of paths)
      for (const as of ['', user('carl'), user('dora')]) {
        const answers = await bothOf(accounts, path, as, ['acme/app', 'acme/nix'])
        assert.equal(answers[0], answers[1])
        assert.match(answers[0]!, as === '' ? /^401/ : /^404 .*NAME_UNKNOWN/)
      }
  })

  it('lists what one may pull, in pages', async () => {
    const { registry, root } = accounts
    const list = async (as: string, query = '') => {
      const reply = await registry(`GET /_catalog${query}`, as)
      return [((await reply.json()) as { repositories: string[] }).repositories, reply.headers.get('link')] as const
    }
    assert.deepEqual((await list(user('bob')))[0], ['acme/open', 'acme/web-1'])
    assert.deepEqual((await list(user('carl')))[0], ['acme/open'])
    assert.deepEqual((await list(root))[0], ['acme/app', 'acme/open', 'acme/web-1', 'ann/own'])
    const [first, link] = await list(user('bob'), '?n=1')
    assert.deepEqual(first, ['acme/open'])
    assert.match(String(link), /<\/v2\/_catalog\?n=1&last=acme%2Fopen>; rel="next"/)
    assert.deepEqual(await list(user('bob'), '?n=5&last=acme/open'), [['acme/web-1'], null])
    assert.equal(await accounts.status('GET /_catalog'), 401)
  })

  it('mounts only from where one may pull, and says nothing else', async () => {
    const { url, registry } = accounts
    const digest = await pushBlob(url, 'acme/app', Buffer.from('a private layer'), user('ann'))
    const mount = async (as: string, from: string) =>
      (await registry(`POST /bobs/mine/blobs/uploads/?mount=${digest}${from}`, as)).status
    await accounts.must('PUT /orgs/bobs', { body: {} })
    await accounts.must('PUT /orgs/bobs/members/bob', { body: { role: 'owner' } })
    assert.equal(await mount(user('bob'), '&from=acme/app'), 202)
    assert.equal(await mount(user('bob'), ''), 202)
    await accounts.must('PUT /orgs/bobs/members/ann', { body: { role: 'owner' } })
    assert.equal(await mount(user('ann'), '&from=acme/app'), 201)
  })

  it('lets nobody go on with an upload that another began', async () => {
    const { url, registry } = accounts
    const begun = await registry('POST /acme/web-1/blobs/uploads/', user('bob'))
    const location = new URL(begun.headers.get('location')!, url).pathname.slice('/v2'.length)
    const anns = user('ann') // who may push there as well
    for (const [method, body] of [['PATCH', 'x'], ['PUT', 'x'], ['GET'], ['DELETE']] as const) {
      const reply = await registry(`${method} ${location}`, anns, body === undefined ? {} : { body })
      assert.equal(reply.status, 404, method)
      assert.match(await reply.text(), /BLOB_UPLOAD_UNKNOWN/)
    }
    assert.equal((await registry(`PATCH ${location}`, user('bob'), { body: 'x' })).status, 202)
    assert.equal((await registry(`DELETE ${location}`, user('bob'))).status, 204)
  })

  it('makes repositories by a push only where the organization has it so', async () => {
    const { root, status } = accounts
    await must('PUT /orgs/strict', { body: { createsOnPush: false } })
    const robot = await accounts.addRobot('strict', 'ci', 'write')
    assert.equal(await status('POST /strict/new/blobs/uploads/', robot), 403)
    await accounts.push('strict/new', root)
    assert.equal(await status('POST /strict/new/blobs/uploads/', robot), 202)
    assert.equal(await status('POST /strict/newer/blobs/uploads/', robot), 403)
  })

  it('takes no policy with words that mean nothing', async () => {
    const { api } = accounts
    const base = { Effect: 'Deny', Principal: '*', Action: 'ecr:BatchDeleteImage' }
    const put = (statement: object) =>
      api('PUT /policies/words', {
        body: { document: { Version: '2012-10-17', Statement: [{ ...base, ...statement }] } },
      })
    for (const [statement, word] of [
      [{ Action: ['ecr:PutImage', 'ecr:BatchDeleteImages'] }, /ecr:BatchDeleteImages/],
      [{ Action: 'holdfast:Plul' }, /holdfast:Plul/],
      [{ Condition: { Bool: { 'aws:SecureTransport': false } } }, /aws:SecureTransport"; expected aws:SourceIp/],
      [{ Condition: { Null: { 'aws:usrname': true } } }, /aws:usrname/],
      [{ Resource: '${aws:user}/*' }, /\$\{aws:user\}/],
      [{ Resource: '${aws:username' }, /\$\{aws:username/],
    ] as const) {
      const answer = await put(statement)
      assert.equal(answer.status, 422)
      assert.match(answer.body.errors[0].detail, word)
    }
    const Condition = { StringEquals: { 'AWS:UserName': '${aws:username}' } }
    const fine = {
      Action: ['ecr:Describe*', 'ECR:listimages', 'holdfast:*', '*'],
      Resource: '${aws:username}/${*}',
      Condition,
    }
    assert.equal((await put(fine)).status, 201)
    await must('DELETE /policies/words')
  })

  it('goes by policies, whose denials nothing overrules', async () => {
    const { status, root, api } = accounts
    const document = (statement: object) => ({ document: { Version: '2012-10-17', Statement: [statement] } })
    const deny = { Effect: 'Deny', Principal: '*', Action: 'ecr:BatchDeleteImage', Resource: 'acme/*' }
    await must('PUT /policies/no-deletes', { body: document(deny) })
    for (const as of [root, user('ann')]) assert.equal(await status('DELETE /acme/app/manifests/v1', as), 403)
    const carl = { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::123456789012:user/carl' }, Action: 'ecr:*' }
    const near = { ...carl, Resource: 'acme/app', Condition: { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } } }
    await must('PUT /policies/carl', { body: document(near) })
    assert.equal(await status('GET /acme/app/manifests/v1', user('carl')), 200)
    assert.equal(await status('GET /acme/web-1/manifests/v1', user('carl')), 404)
    const { headers } = await api('GET /policies/carl')
    const far = { ...near, Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }
    assert.equal((await api('PUT /policies/carl', { body: document(far) })).status, 428)
    await must('PUT /policies/carl', { body: document(far), headers: { 'If-Match': headers.get('etag')! } })
    assert.equal(await status('GET /acme/app/manifests/v1', user('carl')), 404)
    const explained = await must('GET /repos/acme/app/-/access?explain=ann')
    const [rule, fix] = ['policy no-deletes, statement 0', 'change that policy']
    assert.deepEqual(explained.decisions.delete, { verdict: 'denied', rule, fix })
    assert.equal(explained.decisions.push.rule, 'owner of acme')
    await must('DELETE /policies/no-deletes')
    await must('DELETE /policies/carl')
  })

  it('takes rights back at once', async () => {
    const { status } = accounts
    assert.equal(await status('GET /acme/web-1/manifests/v1', user('bob')), 200)
    await must('DELETE /orgs/acme/members/bob')
    assert.equal(await status('GET /acme/web-1/manifests/v1', user('bob')), 404)
    await must('PUT /orgs/acme/members/bob', { body: { role: 'member' } })
    assert.equal(await status('GET /acme/web-1/manifests/v1', user('bob')), 404, 'not by the team of before')
  })

  it('refuses credentials that are wrong also where none are needed', async () => {
    assert.equal(await accounts.status('GET /acme/open/manifests/v1', basic('ann', 'wrong password')), 401)
    assert.equal(await accounts.status('GET /acme/open/manifests/v1', 'Bearer holdfast_pat_wrong'), 401)
  })
})

describe('access', () => {
  it('is open while there is no account, and closed with the first', async () => {
    const app = await useAccounts((configuration) => (configuration.admin = undefined))
    await app.push('any/thing', '')
    assert.equal(await app.status('GET /any/thing/manifests/v1', basic('who', 'ever')), 200, 'as with registry:2')
    assert.equal((await app.api('GET /users', { as: '' })).status, 401, 'administration is never open')
    assert.equal(
      (await app.api('PUT /users/eve', { as: basic('eve', 'x'), body: { password: 'long enough' } })).status,
      401,
    )
    assert.equal(await app.status('GET /_catalog'), 200)
  })

  it('is what the configuration says', async () => {
    const open = await useAccounts((configuration) => (configuration.access = 'open'))
    await open.push('any/thing', '')
    assert.equal(await open.status('GET /_catalog'), 200)
    await open.must('PUT /repos/any/secret', { body: { visibility: 'private' } })
    assert.equal(await open.status('POST /any/secret/blobs/uploads/'), 401)
    const readable = await useAccounts((configuration) => (configuration.access = 'public-read'))
    await readable.push('any/thing', readable.root)
    assert.equal(await readable.status('GET /any/thing/manifests/v1'), 200)
    assert.equal(await readable.status('POST /any/thing/blobs/uploads/'), 401)
    assert.equal(await readable.status('GET /v2/'), 404)
  })

  it('to all that is not private does not tell what is', async () => {
    const readable = await useAccounts((configuration) => (configuration.access = 'public-read'))
    await readable.addUser('carl')
    for (const name of ['any/secret', 'any/thing']) await readable.push(name, readable.root)
    await readable.must('PUT /repos/any/secret', { body: { visibility: 'private' } })
    for (const path of paths)
      for (const as of ['', readable.user('carl')]) {
        const answers = await bothOf(readable, path, as, ['any/secret', 'any/absent'])
        assert.equal(answers[0], answers[1])
        assert.match(answers[0]!, as === '' ? /^401/ : /^404 .*NAME_UNKNOWN/)
      }
    assert.equal(await readable.status('GET /any/absent/manifests/v1', readable.root), 404)
    assert.equal(await readable.status('GET /any/thing/manifests/none'), 404)
    assert.equal(await readable.status('GET /any/new/manifests/v1'), 401)
    await readable.push('any/new', readable.root)
    assert.equal(await readable.status('GET /any/new/manifests/v1'), 200, 'as soon as it is there')
    const url = (name: string) => `${readable.url}/api/v1/repos/${name}/-/tags`
    assert.deepEqual([(await fetch(url('any/secret'))).status, (await fetch(url('any/absent'))).status], [401, 401])
  })
})
