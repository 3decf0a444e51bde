import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Access } from '../auth/types.ts'
import { decide, type Mode, type Profile, type Restriction, type Situation } from './decide.ts'
import { parsePolicy } from './policy.ts'
import { allows, lets, roleNames, scopeNames } from './roles.ts'

const profile = (more: Partial<Profile> = {}): Profile => ({
  kind: 'user',
  name: 'ann',
  isOutside: false,
  isAdministrator: false,
  isDisabled: false,
  owned: new Set(),
  organizations: new Set(),
  names: new Set(['*', 'everyone', 'user:ann']),
  grants: [],
  ...more,
})
const anonymous = profile({ kind: 'anonymous', name: '', names: new Set(['*', 'anonymous']) })
const situation = (more: Partial<Situation> = {}): Situation => ({
  mode: 'closed',
  visibility: undefined,
  isClosedToNew: false,
  policies: [],
  context: {},
  ...more,
})
const grant = (repositories: string, ...roles: string[]) => ({ repositories, roles, principal: 'user:ann' })
const actions = ['pull', 'push', 'delete', 'admin'] as const

/** The verdicts on acme/app, in the order of `actions`: a(llowed), d(enied), h(idden). */
function row(who: Profile, where: Situation, restriction?: Restriction): string {
  const verdictOf = (action: (typeof actions)[number]) =>
    decide(who, { type: 'repository', name: 'acme/app', action }, { ...where, restriction }).verdict
  return actions.map((action) => verdictOf(action)[0]).join('')
}

describe('who may do what to a repository', () => {
  const closed = situation()
  const publicRead = situation({ mode: 'public-read' })
  const open = situation({ mode: 'open' })
  const [asPublic, asPrivate] = [{ visibility: 'public' } as const, { visibility: 'private' } as const]
  const deny = (text: string) => parsePolicy('p', 'acme', text)
  const denyPush = deny('{"Statement":{"Effect":"Deny","Principal":"*","Action":"holdfast:Push"}}')
  const allowPull = deny(
    '{"Statement":{"Effect":"Allow","Principal":{"Holdfast":"user:ann"},"Action":"holdfast:pull"}}',
  )
  const token = (scopes: string[], repositories: string[] = []) => ({ scopes, repositories })

  for (const [what, who, where, expected, restriction] of [
    ['nobody, where it is closed', anonymous, closed, 'hhhh'],
    ['nobody, what is public', anonymous, situation(asPublic), 'addd'],
    ['nobody, where all may read', anonymous, publicRead, 'addd'],
    ['nobody, what is private where all may read', anonymous, situation({ mode: 'public-read', ...asPrivate }), 'hhhh'],
    ['nobody, where it is open', anonymous, open, 'aaad'],
    ['nobody, what is private where it is open', anonymous, situation({ mode: 'open', ...asPrivate }), 'hhhh'],
    ['a stranger', profile(), closed, 'hhhh'],
    ['a stranger, what is public', profile(), situation(asPublic), 'addd'],
    ['an administrator', profile({ isAdministrator: true }), closed, 'aaaa'],
    ['a disabled administrator', profile({ isAdministrator: true, isDisabled: true }), situation(asPublic), 'hhhh'],
    ['who is in the htpasswd file', profile({ isOutside: true }), closed, 'aaad'],
    ['the owner', profile({ owned: new Set(['acme']) }), closed, 'aaaa'],
    ['the owner of another', profile({ owned: new Set(['acm', 'acme-2']) }), closed, 'hhhh'],
    ['a member', profile({ organizations: new Set(['acme']) }), closed, 'hhhh'],
    ['read on it', profile({ grants: [grant('acme/app', 'read')] }), closed, 'addd'],
    ['read on another', profile({ grants: [grant('acme/app2', 'read')] }), closed, 'hhhh'],
    ['write on all', profile({ grants: [grant('acme/*', 'write')] }), closed, 'aadd'],
    ['delete by pattern', profile({ grants: [grant('acme/a?p', 'delete')] }), closed, 'adad'],
    ['AcrDelete alone', profile({ grants: [grant('acme/*', 'AcrDelete')] }), closed, 'hhah'],
    ['AcrPull and AcrDelete', profile({ grants: [grant('acme/*', 'AcrPull', 'AcrDelete')] }), closed, 'adad'],
    ['two grants', profile({ grants: [grant('acme/*', 'read'), grant('*/app', 'write')] }), closed, 'aadd'],
    ['admin', profile({ grants: [grant('acme/app', 'admin')] }), closed, 'aaaa'],
    ['a role nobody knows', profile({ grants: [grant('*', 'toString', 'root')] }), closed, 'hhhh'],
    [
      'an owner whom a policy denies',
      profile({ owned: new Set(['acme']) }),
      situation({ policies: [denyPush] }),
      'adaa',
    ],
    [
      'an administrator whom a policy denies',
      profile({ isAdministrator: true }),
      situation({ policies: [denyPush] }),
      'adaa',
    ],
    [
      'nobody, where it is open, whom a policy denies',
      anonymous,
      situation({ mode: 'open', policies: [denyPush] }),
      'adad',
    ],
    ['whom a policy allows', profile(), situation({ policies: [allowPull] }), 'addd'],
    [
      'a writer who makes none',
      profile({ grants: [grant('acme/*', 'write')] }),
      situation({ isClosedToNew: true }),
      'addd',
    ],
    ['an owner who makes one', profile({ owned: new Set(['acme']) }), situation({ isClosedToNew: true }), 'aaaa'],
    ['an owner by a token for reading', profile({ owned: new Set(['acme']) }), closed, 'addd', token(['repo:read'])],
    ['an owner by a token for writing', profile({ owned: new Set(['acme']) }), closed, 'aadd', token(['repo:write'])],
    [
      'an owner by a token for elsewhere',
      profile({ owned: new Set(['acme']) }),
      closed,
      'hhhh',
      token(['repo:admin'], ['other/*']),
    ],
    [
      'an owner by a token for it',
      profile({ owned: new Set(['acme']) }),
      closed,
      'aaaa',
      token(['repo:admin'], ['x/*', 'acme/*']),
    ],
    [
      'a reader by a token for everything',
      profile({ grants: [grant('acme/*', 'read')] }),
      closed,
      'addd',
      token(['admin']),
    ],
    ['a token without scopes, what is public', profile(), situation(asPublic), 'addd', token([])],
    ['a token without scopes, where it is open', profile(), open, 'addd', token([])],
  ] as [string, Profile, Situation, string, Restriction?][]) {
    it(`${what}: ${expected}`, () => assert.equal(row(who, where, restriction), expected))
  }

  it('does not depend on whether there is such a repository', () => {
    const other = row(profile(), situation({ isClosedToNew: true }))
    assert.equal(other, row(profile(), situation()))
  })

  it('says by what it was decided', () => {
    const rule = (who: Profile, where: Situation, restriction?: Restriction) =>
      decide(who, { type: 'repository', name: 'acme/app', action: 'push' }, { ...where, restriction }).rule
    assert.equal(rule(profile({ grants: [grant('acme/*', 'AcrPush')] }), closed), 'user:ann has AcrPush on acme/*')
    assert.equal(
      rule(profile({ owned: new Set(['acme']) }), situation({ policies: [denyPush] })),
      'policy p, statement 0',
    )
    assert.match(rule(profile(), closed, token(['repo:read'])), /no scope for push/)
  })
})

describe('who may do what else', () => {
  const is = (who: Profile, access: Access, mode: Mode = 'closed', restriction?: Restriction) =>
    decide(who, access, situation({ mode, restriction })).verdict
  const api: Access = { type: 'registry', name: 'api', action: 'pull' }
  const catalog: Access = { type: 'registry', name: 'catalog', action: '*' }
  const self: Access = { type: 'registry', name: 'self', action: '*' }
  const admin: Access = { type: 'registry', name: 'admin', action: '*' }
  const organization = (action: 'read' | 'admin'): Access => ({ type: 'organization', name: 'acme', action })

  it('lets nobody sign in as nobody, except where it is open', () => {
    assert.deepEqual(
      [is(anonymous, api), is(anonymous, api, 'public-read'), is(anonymous, api, 'open')],
      ['denied', 'denied', 'allowed'],
    )
    assert.deepEqual([is(anonymous, catalog), is(anonymous, catalog, 'public-read')], ['denied', 'allowed'])
    assert.deepEqual(
      [is(anonymous, self, 'open'), is(profile(), self), is(profile(), api)],
      ['denied', 'allowed', 'allowed'],
    )
  })

  it('lets only administrators administer, also where it is open, and only by a token for that', () => {
    for (const mode of ['closed', 'public-read', 'open'] as const) {
      assert.equal(is(anonymous, admin, mode), 'denied')
      assert.equal(is(profile({ isOutside: true }), admin, mode), 'denied')
      assert.equal(is(profile({ isAdministrator: true }), admin, mode), 'allowed')
      assert.equal(
        is(profile({ isAdministrator: true }), admin, mode, { scopes: ['org:admin'], repositories: [] }),
        'denied',
      )
    }
  })

  it('shows organizations to members, and lets owners change them', () => {
    const member = profile({ organizations: new Set(['acme']) })
    const owner = profile({ owned: new Set(['acme']), organizations: new Set(['acme']) })
    assert.deepEqual([is(profile(), organization('read')), is(profile(), organization('admin'))], ['hidden', 'hidden'])
    assert.deepEqual([is(member, organization('read')), is(member, organization('admin'))], ['allowed', 'denied'])
    assert.deepEqual([is(owner, organization('read')), is(owner, organization('admin'))], ['allowed', 'allowed'])
    assert.equal(is(owner, organization('admin'), 'closed', { scopes: ['org:read'], repositories: [] }), 'denied')
  })
})

/** The same in other words: sets instead of an order of questions. */
function oracle(who: Profile, { name, action }: { name: string; action: (typeof actions)[number] }, where: Situation) {
  const by = where.restriction
  const may = (act: typeof action): boolean => {
    if (who.isDisabled) return false
    const isPublic = where.visibility ? where.visibility === 'public' : where.mode !== 'closed'
    const reasons = [
      isPublic && act === 'pull',
      where.mode === 'open' && where.visibility !== 'private' && act !== 'admin',
      who.isAdministrator,
      who.isOutside && act !== 'admin',
      who.owned.has(name.split('/')[0]!),
      !(where.isClosedToNew && act === 'push') &&
        who.grants.some(
          ({ repositories, roles }) =>
            new RegExp(`^${repositories.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name) &&
            roles.some((role) => allows(role, act)),
        ),
    ]
    const byToken = !by || (lets(by.scopes, act) && (by.repositories.length === 0 || by.repositories.includes(name)))
    return (isPublic && act === 'pull') || (byToken && reasons.some(Boolean))
  }
  return may(action) ? 'allowed' : action !== 'pull' && may('pull') ? 'denied' : 'hidden'
}

it('decides what an oracle says, whatever is asked', () => {
  const name = fc.constantFrom('acme/app', 'acme/web/x', 'ann/app', 'acme')
  const pattern = fc.constantFrom('acme/*', '*', 'acme/app', '*/app', 'ann/???', 'acme/*/x', 'a*')
  const people = fc.record({
    kind: fc.constantFrom('user' as const, 'anonymous' as const),
    isOutside: fc.boolean(),
    isAdministrator: fc.boolean(),
    isDisabled: fc.boolean(),
    owned: fc.uniqueArray(fc.constantFrom('acme', 'ann')).map((names) => new Set(names)),
    grants: fc.array(
      fc.record({
        repositories: pattern,
        roles: fc.uniqueArray(fc.constantFrom(...roleNames), { maxLength: 2 }),
        principal: fc.constant('user:ann'),
      }),
      { maxLength: 3 },
    ),
  })
  const where = fc.record({
    mode: fc.constantFrom<Mode>('closed', 'public-read', 'open'),
    visibility: fc.constantFrom('public' as const, 'private' as const, undefined),
    isClosedToNew: fc.boolean(),
  })
  const restriction = fc.option(
    fc.record({
      scopes: fc.uniqueArray(fc.constantFrom(...scopeNames), { maxLength: 2 }),
      repositories: fc.uniqueArray(name, { maxLength: 2 }),
    }),
    { nil: undefined },
  )
  const asked = fc.record({ name, action: fc.constantFrom(...actions) })
  fc.assert(
    fc.property(people, asked, where, restriction, (person, access, at, by) => {
      const [who, here] = [profile(person), situation({ ...at, restriction: by })]
      assert.equal(decide(who, { type: 'repository', ...access }, here).verdict, oracle(who, access, here))
    }),
    { numRuns: 5000 },
  )
})
