import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { LdapConfiguration } from '../../src/config/configuration.ts'
import { createLdapServer, fill } from '../../src/features/accounts/ldap/server.ts'
import { basic, passwordOf, useAccounts } from '../support/accounts.ts'
import { startLdap, suffix, withoutLdap } from '../support/ldap.ts'

const person = (name: string, more = '') => `dn: uid=${name},ou=people,${suffix}
objectClass: inetOrgPerson
cn: ${name}
sn: ${name}
uid: ${name}
userPassword: ${passwordOf(name)}
${more}`
const group = (name: string, ...members: string[]) => `dn: cn=${name},ou=groups,${suffix}
objectClass: groupOfNames
cn: ${name}
${members.map((member) => `member: uid=${member},ou=people,${suffix}`).join('\n')}
`
const entries = [
  `dn: ${suffix}\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: Example\n`,
  `dn: cn=reader,${suffix}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: a reader's\n`,
  ...['people', 'groups'].map((ou) => `dn: ou=${ou},${suffix}\nobjectClass: organizationalUnit\nou: ${ou}\n`),
  ...['ann', 'bob', 'root', 'acme', 'local', 'gone', 'held'].map((name) => person(name)),
  person('twin'),
  `dn: uid=twin2,ou=people,${suffix}\nobjectClass: inetOrgPerson\ncn: twin\nsn: x\nuid: twin2\nuid: twin\nuserPassword: ${passwordOf('twin')}\n`,
  group('developers', 'ann', 'bob'),
  group('operators', 'ann'),
].join('\n')

describe('users of an LDAP server', { skip: withoutLdap, timeout: 60_000 }, async () => {
  if (withoutLdap) return
  const ldap = await startLdap(entries)
  after(() => ldap.stop())
  const settings: LdapConfiguration = {
    url: `ldap://localhost:${ldap.port}`,
    startTls: true,
    ca: ldap.ca,
    bind: { dn: `cn=reader,${suffix}`, password: { text: "a reader's" } },
    base: `ou=people,${suffix}`,
    userFilter: '(uid={user})',
    groupBase: `ou=groups,${suffix}`,
    groupFilter: '(member={dn})',
    groups: [
      { group: `CN=developers, OU=groups, ${suffix}`, team: 'acme/dev', administrator: false },
      { group: 'operators', team: undefined, administrator: true },
    ],
    timeoutMs: 500,
  }
  let now = new Date()
  const clock = { now: () => now }
  const later = (minutes: number) => (now = new Date(now.getTime() + minutes * 60_000))
  const here = await useAccounts((configuration) => (configuration.ldap = settings), { clock })
  before(async () => {
    await here.addUser('local')
    await here.must('PUT /orgs/acme', { body: {} })
    await here.must('PUT /orgs/acme/teams/dev', { body: {} })
  })
  const status = (name: string, password = passwordOf(name)) => here.status('GET /', basic(name, password))
  const me = async (name: string) => (await here.must('GET /me', { as: here.user(name) })) as Record<string, unknown>

  it('sign in with the password there, and have an account with the teams of their groups', async () => {
    const { kind, teams, isAdministrator, owns } = await me('bob')
    assert.deepEqual([kind, teams, isAdministrator, owns], ['user', ['acme/dev'], false, ['bob']])
    assert.equal((await me('ann')).isAdministrator, true)
    const { items } = await here.must('GET /audit?action=user.created&actor=bob')
    assert.deepEqual(items[0].detail, { by: 'ldap', dn: `uid=bob,ou=people,${suffix}` })
  })

  it('go on by what is remembered, and are looked at again after a while', async () => {
    assert.equal(await status('bob'), 200)
    await ldap.change(
      `dn: cn=developers,ou=groups,${suffix}\nchangetype: modify\ndelete: member\nmember: uid=bob,ou=people,${suffix}\n`,
    )
    assert.deepEqual((await me('bob')).teams, ['acme/dev'])
    later(6)
    assert.deepEqual([(await me('bob')).teams, (await me('bob')).organizations], [[], []])
  })

  it('with another password, an empty one or an unknown name do not', async () => {
    for (const password of ['wrong', '', ' ', '\0', '*']) assert.equal(await status('ann', password), 401, password)
    for (const name of ['nobody', 'cn=reader', 'twin', 'Ann'])
      assert.equal(await status(name, passwordOf(name)), 401, name)
    later(120)
    const names = ['*', '*)(uid=*', 'ann)(|(uid=*', 'an*', 'ann\\', 'ann\0', '(uid=ann)', `uid=ann,ou=people,${suffix}`]
    for (const name of names) assert.equal(await status(name, passwordOf('ann')), 401, name)
    const form = (name: string, password: string) =>
      here.api('GET /me', { as: basic(name, password) }).then(({ body }) => body.detail)
    assert.equal(await form('unknown', 'x'), await form('ann', 'not it'))
    assert.match(here.logged(), /login\.failed user=ann/)
    assert.ok(!here.logged().includes(passwordOf('ann')))
    later(120)
  })

  it('are not those who have an account of the same name here', async () => {
    assert.equal(await status('local'), 200) // the same password by chance: it is tried here alone
    await ldap.change(
      `dn: uid=local,ou=people,${suffix}\nchangetype: modify\nreplace: userPassword\nuserPassword: another one\n`,
    )
    later(6)
    assert.equal(await status('local', 'another one'), 401)
    assert.equal(await status('root'), 401)
    assert.equal(await status('acme'), 401)
    later(120)
  })

  it('whose account is disabled do not sign in', async () => {
    assert.equal(await status('gone'), 200)
    const { headers } = await here.api('GET /users/gone')
    const reply = await here.api('PUT /users/gone', {
      body: { isDisabled: true },
      headers: { 'If-Match': headers.get('etag') ?? '' },
    })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    assert.notEqual(await status('gone'), 200)
    later(6)
    assert.equal(await status('gone'), 401)
  })

  it('do not own by their name what others have pushed before they came', async () => {
    await here.push('held/app', here.root)
    assert.equal(await status('held'), 200)
    assert.deepEqual((await me('held')).owns, [])
    const pull = () => here.status('GET /held/app/manifests/v1', here.user('held'))
    assert.equal(await pull(), 404)
    assert.match(here.logged(), /ldap\.namespace-held user=held/)
    await here.must('PUT /orgs/held/access/user:held', { body: { roles: ['read'] } })
    assert.equal(await pull(), 200)
    const { ownsNamespace } = await here.must('PUT /users/held', { body: { ownsNamespace: true } })
    assert.deepEqual([ownsNamespace, (await me('held')).owns], [true, ['held']])
    later(6)
    assert.deepEqual((await me('held')).owns, ['held'], 'what an administrator said stays')
  })

  it('wait with 503 while the server is silent, and lose nothing by it', async () => {
    later(6)
    await ldap.pause()
    const begun = performance.now()
    const reply = await here.registry('GET /', here.user('ann'))
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get('retry-after'), '5')
    assert.ok(performance.now() - begun < 5000)
    assert.equal(await status('local'), 200)
    ldap.resume()
    assert.equal(await status('ann'), 200)
  })

  it('are asked about over TLS alone, by a certificate that is trusted and of the right name', async () => {
    const ask = async (more: Partial<LdapConfiguration>) =>
      (await createLdapServer({ ...settings, timeoutMs: 3000, ...more })).ask('bob', passwordOf('bob'))
    const { dn, groups } = (await ask({ url: `ldaps://127.0.0.1:${ldap.tlsPort}`, startTls: false })) as {
      dn: string
      groups: unknown[]
    }
    assert.equal(dn, `uid=bob,ou=people,${suffix}`)
    assert.ok(Array.isArray(groups))
    await assert.rejects(ask({ ca: undefined }), /certificate|self.signed|issuer/i)
    await assert.rejects(ask({ url: `ldap://127.0.0.2:${ldap.port}` }), /ECONNREFUSED|altnames/)
    await assert.rejects(ask({ bind: { dn: `cn=reader,${suffix}`, password: { text: 'wrong' } } }), /Invalid|0x31/i)
    await assert.rejects(createLdapServer({ ...settings, userFilter: '((uid={user}' }), /holdfast\.ldap\.userfilter/)
    await assert.rejects(createLdapServer({ ...settings, ca: '/nowhere' }), /holdfast\.ldap\.ca: cannot read \/nowhere/)
  })

  it('never reach the server by an empty password, which it would take for nobody’s', async () => {
    const server = await createLdapServer(settings)
    assert.equal(await server.ask('bob', ''), 'wrong')
    for (const name of ['*', 'b*b', 'bob)(uid=*', '*)(|(uid=*'])
      assert.equal(await server.ask(name, passwordOf('bob')), 'unknown', name)
  })
})

it('keeps names names in filters', () => {
  assert.equal(fill('(&(uid={user})(x={y}))', { user: 'a*)(b=\\\0' }), '(&(uid=a\\2a\\29\\28b\\3d\\5c\\00)(x={y}))')
  assert.equal(fill('({user})', { user: '{dn}', dn: 'x' }), '({dn})')
})
