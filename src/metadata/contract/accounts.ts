import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AccessToken, Account, AccountChange, AuditEntry } from '../account-facts.ts'
import { auditHash } from '../audit-hash.ts'
import { pushOf, type Tools } from './tools.ts'

/** Users, organizations, robots and what belongs to them; the audit log. */
export function testAccounts({ store, reopen, passSeconds, push, now }: Tools): void {
  const account = (name: string, more: Partial<Account> = {}): Account => ({
    name,
    kind: 'user',
    organization: '',
    password: '',
    isAdministrator: false,
    isDisabled: false,
    createsOnPush: false,
    ownsNamespace: true,
    description: 'ünï',
    createdAt: now().getTime(),
    ...more,
  })
  const entry = (action: string): AuditEntry => ({ action, actor: 'alice', address: '192.0.2.1', target: 'x' })

  async function change(changes: AccountChange[], entries: AuditEntry[] = []): Promise<void> {
    assert.equal(await store().accounts.change(await store().accounts.version(), changes, entries), true)
  }

  describe('accounts', () => {
    it('begin with none, and at version 0', async () => {
      assert.equal(await store().accounts.version(), 0)
      assert.deepEqual(await store().accounts.list('account', {}), [])
      assert.equal(await store().accounts.find('account', { name: 'ann' }), undefined)
    })

    it('are kept as they were put, also when the store is opened again', async () => {
      const ann = account('ann', { isAdministrator: true, password: '$argon2id$…' })
      await change([{ table: 'account', put: ann }])
      await reopen()
      assert.deepEqual(await store().accounts.find('account', { name: 'ann' }), ann)
      await change([{ table: 'account', put: { ...ann, isDisabled: true } }])
      assert.equal((await store().accounts.find('account', { name: 'ann' }))?.isDisabled, true)
      assert.equal(await store().accounts.version(), 2)
    })

    it('change only from the version that is expected, and then all at once', async () => {
      const version = await store().accounts.version()
      const put = (name: string): AccountChange => ({ table: 'account', put: account(name) })
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, i) => store().accounts.change(version, [put(`once-${i}`)], [])),
      )
      assert.equal(results.filter(Boolean).length, 1)
      assert.equal((await store().accounts.list('account', { kind: 'user' })).length, 2)
      assert.equal(await store().accounts.version(), version + 1)
    })

    it('are listed by what they have, in order, a page at a time', async () => {
      const robots = ['c', 'a', 'b'].map((name) =>
        account(`robot.acme.${name}`, { kind: 'robot', organization: 'acme' }),
      )
      await change(robots.map((put) => ({ table: 'account', put })))
      const names = async (limit: number, last?: string[]) =>
        (await store().accounts.list('account', { organization: 'acme' }, { limit, last })).map(({ name }) => name)
      assert.deepEqual(await names(2), ['robot.acme.a', 'robot.acme.b'])
      assert.deepEqual(await names(2, ['robot.acme.b']), ['robot.acme.c'])
    })

    it('keep lists, and a place in an order of several columns', async () => {
      const grants = ['user:ann', 'user:bob'].flatMap((principal) =>
        ['acme/*', 'acme/a'].map((repositories) => ({
          namespace: 'acme',
          repositories,
          principal,
          roles: ['read', 'AcrPush'],
          createdAt: 5,
        })),
      )
      await change(grants.map((put) => ({ table: 'role_grant', put })))
      const page = await store().accounts.list('role_grant', { namespace: 'acme' }, { limit: 2 })
      assert.deepEqual(page, [grants[0], grants[2]])
      const last = [page[1]!.repositories, page[1]!.principal]
      assert.deepEqual(await store().accounts.list('role_grant', { namespace: 'acme' }, { limit: 9, last }), [
        grants[1],
        grants[3],
      ])
    })

    it('go with all that has the values given, and nothing else', async () => {
      await change([{ table: 'role_grant', remove: { principal: 'user:ann' } }])
      const left = await store().accounts.list('role_grant', {})
      assert.deepEqual(
        left.map(({ principal }) => principal),
        ['user:bob', 'user:bob'],
      )
      await change([
        { table: 'member', put: { organization: 'acme', team: '', account: 'ann', role: 'owner' } },
        { table: 'member', put: { organization: 'acme', team: 'dev', account: 'ann', role: 'member' } },
        { table: 'member', remove: { organization: 'acme', team: 'dev' } },
        { table: 'team', put: { organization: 'acme', name: 'dev', description: '' } },
        { table: 'visibility', put: { repository: 'acme/a', visibility: 'public' } },
        { table: 'policy', put: { name: 'p', namespace: '', document: '{}', createdAt: 1 } },
      ])
      assert.equal((await store().accounts.list('member', { account: 'ann' })).length, 1)
    })

    it('refuse fields that are none', async () => {
      const where = { 'name = name or name': 'x' } as Partial<Account>
      await assert.rejects(store().accounts.list('account', where), /no column/)
    })
  })

  it('the last use of a token is written without a new version, and never goes back', async () => {
    const token: AccessToken = {
      id: 't1',
      account: 'ann',
      name: 'laptop',
      hash: 'abc',
      scopes: ['repo:read'],
      repositories: [],
      createdAt: 1,
      expiresAt: 0,
      usedAt: 0,
      usedFrom: '',
    }
    await change([{ table: 'access_token', put: token }])
    const version = await store().accounts.version()
    await store().accounts.useTokens([
      { id: 't1', at: 20, from: '192.0.2.2' },
      { id: 't1', at: 10, from: '192.0.2.1' },
      { id: 'gone', at: 10, from: '' },
    ])
    const found = await store().accounts.find('access_token', { hash: 'abc' })
    assert.deepEqual(found, { ...token, usedAt: 20, usedFrom: '192.0.2.2' })
    assert.equal(await store().accounts.version(), version)
  })

  it('tells whether a repository or a namespace holds anything', async () => {
    await push(pushOf('holding/a', 'held'))
    for (const [where, is] of [
      [{ repository: 'holding/a' }, true],
      [{ repository: 'holding' }, false],
      [{ namespace: 'holding' }, true],
      [{ namespace: 'hold' }, false],
      [{ namespace: 'holding/a' }, true],
    ] as const)
      assert.equal(await store().accounts.holds(where), is, JSON.stringify(where))
  })

  it('keeps refusals by the ids of their requests for a day, whoever else had the same', async () => {
    const refusal = (id: string, body: string) => ({ id, at: now().getTime(), body })
    const first = [refusal('r1', 'a'), refusal('r2', 'b'), refusal('r1', 'c')]
    await store().accounts.refusals.record(first)
    await reopen()
    assert.deepEqual(await store().accounts.refusals.find('r1'), [first[2], first[0]])
    assert.deepEqual(await store().accounts.refusals.find("r1' or 1=1"), [])
    passSeconds(25 * 3600)
    await store().accounts.refusals.record([refusal('r3', 'd')])
    assert.deepEqual(await store().accounts.refusals.find('r1'), [])
    assert.equal((await store().accounts.refusals.find('r3')).length, 1)
  })

  describe('the audit log', () => {
    it('is a chain, in the order of what happened, also of many at once', async () => {
      await Promise.all(
        Array.from({ length: 10 }, (_, i) => store().accounts.audit.record([entry(`a${i}`), entry(`b${i}`)])),
      )
      await change([{ table: 'account', put: account('bob') }], [entry('user.created')])
      await reopen()
      const records = await store().accounts.audit.after(0, 100)
      assert.deepEqual(
        records.map(({ sequence }) => sequence),
        records.map((_, index) => index + 1),
      )
      for (const [index, record] of records.entries()) {
        assert.equal(record.previous, records[index - 1]?.hash ?? '')
        assert.equal(record.hash, auditHash(record))
      }
      assert.deepEqual(JSON.parse(records.at(-1)!.body), entry('user.created'))
      const [newest, second] = await store().accounts.audit.before(Number.MAX_SAFE_INTEGER, 2)
      assert.deepEqual([newest, second], [records.at(-1), records.at(-2)])
    })

    it('says what went when it is shortened, and goes on from there', async () => {
      const [before] = await store().accounts.audit.before(Number.MAX_SAFE_INTEGER, 1)
      passSeconds(60)
      await store().accounts.audit.record([entry('kept')])
      assert.equal(await store().accounts.audit.deleteBefore(now().getTime()), before!.sequence)
      const [kept, trimmed] = await store().accounts.audit.after(0, 10)
      assert.equal(kept?.previous, before!.hash)
      assert.deepEqual(JSON.parse(trimmed!.body).detail, { sequence: before!.sequence, hash: before!.hash })
      assert.equal(trimmed?.previous, kept?.hash)
      assert.equal(await store().accounts.audit.deleteBefore(0), 0)
    })
  })
}
