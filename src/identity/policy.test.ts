import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Context } from './conditions.ts'
import { matchesPattern } from './pattern.ts'
import { judge, parsePolicy } from './policy.ts'

const names = (...more: string[]) => new Set(['*', ...more])
const ann = names('everyone', 'user:ann', 'team:acme/dev')

function ask(statements: unknown, action: 'pull' | 'push' | 'delete' = 'pull', who = ann, context: Context = {}) {
  const policy = parsePolicy('p', '', JSON.stringify({ Version: '2012-10-17', Statement: statements }))
  return judge([policy], { action, repository: 'acme/app', names: who, context })?.effect
}
const allow = (more: object = {}) => ({ Effect: 'Allow', Principal: '*', Action: '*', ...more })
const deny = (more: object = {}) => ({ ...allow(more), Effect: 'Deny' })

describe('a policy', () => {
  const pull = ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']
  for (const [what, statements, action, expected] of [
    ['says nothing about what it does not name', [], 'pull', undefined],
    ['allows', [allow()], 'pull', 'Allow'],
    ['denies before it allows, in any order', [allow(), deny()], 'pull', 'Deny'],
    ['denies before it allows, in the other order', [deny(), allow()], 'pull', 'Deny'],
    ['needs every act of ECR for a pull', [allow({ Action: pull })], 'pull', 'Allow'],
    ['does not take one act for all', [allow({ Action: pull[0] })], 'pull', undefined],
    ['takes them from several statements', [allow({ Action: pull[0] }), allow({ Action: pull[1] })], 'pull', 'Allow'],
    ['denies a pull with one of its acts', [allow(), deny({ Action: pull[1] })], 'pull', 'Deny'],
    ['leaves a push when a pull is denied', [allow(), deny({ Action: pull })], 'push', 'Allow'],
    ['knows wildcards in actions, in any letters', [allow({ Action: 'ECR:*layer*' })], 'push', undefined],
    ['knows wildcards for all of a push', [allow({ Action: ['ecr:*Layer*', 'ecr:Put?mage'] })], 'push', 'Allow'],
    ['knows our names', [allow({ Action: 'holdfast:Push' })], 'push', 'Allow'],
    ['knows our names and nothing more', [allow({ Action: 'holdfast:Push' })], 'pull', undefined],
    ['knows NotAction', [allow({ Action: undefined, NotAction: pull })], 'push', 'Allow'],
    ['knows what NotAction leaves out', [allow({ Action: undefined, NotAction: pull })], 'pull', undefined],
    ['knows NotAction with our names', [deny({ Action: undefined, NotAction: 'holdfast:Pull' })], 'pull', undefined],
    ['allows only resources it names', [allow({ Resource: 'acme/other' })], 'pull', undefined],
    ['knows patterns of resources', [allow({ Resource: ['x', 'acme/*'] })], 'pull', 'Allow'],
    [
      'knows ARNs of resources',
      [allow({ Resource: 'arn:aws:ecr:*:123456789012:repository/acme/a??' })],
      'pull',
      'Allow',
    ],
    ['knows NotResource', [deny({ NotResource: 'acme/*' })], 'pull', undefined],
    ['does not concern others', [allow({ Principal: { Holdfast: 'user:bob' } })], 'pull', undefined],
    ['concerns a team', [allow({ Principal: { AWS: 'arn:aws:iam::123456789012:role/acme/dev' } })], 'pull', 'Allow'],
    ['concerns a user', [allow({ Principal: { AWS: ['arn:aws:iam::123456789012:user/ann'] } })], 'pull', 'Allow'],
    ['concerns all who sign in', [allow({ Principal: { AWS: '123456789012' } })], 'pull', 'Allow'],
    ['knows NotPrincipal', [deny({ Principal: undefined, NotPrincipal: { Holdfast: 'user:ann' } })], 'pull', undefined],
  ] as [string, object[], 'pull' | 'push', string | undefined][]) {
    it(what, () => assert.equal(ask(statements, action), expected))
  }

  it('of a namespace concerns no other', () => {
    const text = JSON.stringify({ Statement: allow() })
    for (const [namespace, repository, expected] of [
      ['acme', 'acme/app', 'Allow'],
      ['acme', 'acme', 'Allow'],
      ['acme', 'acme2/app', undefined],
      ['acme', 'other/acme', undefined],
    ] as const) {
      const policy = parsePolicy('p', namespace, text)
      assert.equal(judge([policy], { action: 'pull', repository, names: ann, context: {} })?.effect, expected)
    }
  })

  it('does not concern who is nobody where it means all who sign in', () => {
    assert.equal(ask([allow({ Principal: { Holdfast: 'everyone' } })], 'pull', names('anonymous')), undefined)
    assert.equal(ask([allow()], 'pull', names('anonymous')), 'Allow')
  })

  it('puts in what the context says, whose stars are no wildcards', () => {
    const own = [allow({ Resource: '${aws:username}/*' })]
    assert.equal(ask(own, 'pull', ann, { 'aws:username': 'acme' }), 'Allow')
    assert.equal(ask(own, 'pull', ann, { 'aws:username': '*' }), undefined)
    assert.equal(ask(own, 'pull', ann, {}), undefined)
  })

  for (const [what, text] of [
    ['no JSON', '{'],
    ['a list', '[]'],
    ['an unknown version', '{"Version":"2020-01-01","Statement":[]}'],
    ['an unknown key', '{"Statement":{"Effect":"Deny","Principal":"*","Actions":"*"}}'],
    ['no principal', '{"Statement":{"Effect":"Deny","Action":"*"}}'],
    ['no action', '{"Statement":{"Effect":"Deny","Principal":"*"}}'],
    ['an action of another service', '{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject"}}'],
    ['an effect that is none', '{"Statement":{"Effect":"deny","Principal":"*","Action":"*"}}'],
    ['a principal that is none', '{"Statement":{"Effect":"Deny","Principal":"ann","Action":"*"}}'],
    [
      'an ARN that is no principal',
      '{"Statement":{"Effect":"Deny","Principal":{"AWS":"arn:aws:s3:::x"},"Action":"*"}}',
    ],
    ['both of two', '{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","NotAction":"*"}}'],
    [
      'an unknown operator',
      '{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"StringIs":{"a":"b"}}}}',
    ],
    [
      'a network that is none',
      '{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"IpAddress":{"aws:SourceIp":"10/8"}}}}',
    ],
    ['too much', `{"Id":"${'x'.repeat(11_000)}"}`],
  ] as const) {
    it(`is refused with ${what}`, () => assert.throws(() => parsePolicy('p', '', text), /Statement|polic/))
  }
})

describe('a condition', () => {
  const context: Context = {
    'aws:sourceip': '192.0.2.7',
    'aws:username': 'ann',
    'aws:currenttime': '2030-06-01T00:00:00Z',
    'aws:securetransport': 'true',
    'holdfast:teams': ['acme/dev', 'acme/ops'],
    'holdfast:age': '17',
  }
  for (const [operator, key, value, expected] of [
    ['StringEquals', 'aws:username', 'ann', true],
    ['StringEquals', 'AWS:UserName', ['bob', 'ann'], true],
    ['StringEquals', 'aws:username', 'Ann', false],
    ['StringEqualsIgnoreCase', 'aws:username', 'ANN', true],
    ['StringNotEquals', 'aws:username', ['bob', 'ann'], false],
    ['StringNotEquals', 'aws:absent', 'ann', true],
    ['StringEquals', 'aws:absent', 'ann', false],
    ['StringEqualsIfExists', 'aws:absent', 'ann', true],
    ['StringLike', 'aws:username', 'a?*', true],
    ['StringNotLike', 'aws:username', 'a*', false],
    ['IpAddress', 'aws:SourceIp', '192.0.2.0/24', true],
    ['IpAddress', 'aws:SourceIp', ['10.0.0.0/8', '192.0.2.7'], true],
    ['NotIpAddress', 'aws:SourceIp', '192.0.2.0/24', false],
    ['IpAddress', 'aws:SourceIp', '2001:db8::/32', false],
    ['DateLessThan', 'aws:CurrentTime', '2031-01-01T00:00:00Z', true],
    ['DateGreaterThanEquals', 'aws:CurrentTime', '2031-01-01', false],
    ['Bool', 'aws:SecureTransport', true, true],
    ['Bool', 'aws:SecureTransport', 'false', false],
    ['NumericLessThan', 'holdfast:age', 18, true],
    ['NumericGreaterThanEquals', 'holdfast:age', '18', false],
    ['NumericNotEquals', 'holdfast:age', '18', true],
    ['NumericEquals', 'aws:username', '18', false],
    ['ForAnyValue:StringEquals', 'holdfast:teams', ['acme/dev', 'x'], true],
    ['ForAnyValue:StringEquals', 'aws:absent', 'x', false],
    ['ForAllValues:StringLike', 'holdfast:teams', 'acme/*', true],
    ['ForAllValues:StringEquals', 'holdfast:teams', 'acme/dev', false],
    ['ForAllValues:StringEquals', 'aws:absent', 'x', true],
    ['Null', 'aws:absent', 'true', true],
    ['Null', 'aws:username', 'true', false],
    ['Null', 'aws:username', 'false', true],
    ['ArnLike', 'aws:username', 'arn:*', false],
  ] as [string, string, unknown, boolean][]) {
    it(`${operator} ${key} ${JSON.stringify(value)} ${expected ? 'holds' : 'does not hold'}`, () => {
      const effect = ask([allow({ Condition: { [operator]: { [key]: value } } })], 'pull', ann, context)
      assert.equal(effect, expected ? 'Allow' : undefined)
    })
  }

  it('holds when all of them do', () => {
    const both = (name: string) => ({
      StringEquals: { 'aws:username': name },
      Bool: { 'aws:SecureTransport': 'true' },
    })
    assert.equal(ask([allow({ Condition: both('ann') })], 'pull', ann, context), 'Allow')
    assert.equal(ask([allow({ Condition: both('bob') })], 'pull', ann, context), undefined)
  })
})

describe('a pattern', () => {
  it('fits what a regular expression would', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '/', '*', '?'), { maxLength: 8 }).map((all) => all.join(''))
    const text = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 8 }).map((all) => all.join(''))
    fc.assert(
      fc.property(letters, text, (pattern, given) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`)
        assert.equal(matchesPattern(pattern, given), expression.test(given))
      }),
      { numRuns: 5000 },
    )
  })

  it('takes its time on nothing', () => {
    const begun = performance.now()
    assert.equal(matchesPattern('*a'.repeat(120), 'a'.repeat(255) + 'b'), false)
    assert.ok(performance.now() - begun < 100)
  })
})
