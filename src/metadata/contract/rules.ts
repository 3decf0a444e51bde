import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AccountChange, RuleSet, TagLock } from '../account-facts.ts'
import { byLabel } from '../rule-facts.ts'
import { actor, pushOf, type Tools } from './tools.ts'

/** Registers the tests of rules for tags: what keeps them, when they expire, and how they are retired. */
export function testRules({ store, push, commitBlob, passSeconds, now, eventsOf, reopen }: Tools): void {
  const retention = { why: 'retention', by: 'rules' } as const
  const ms = () => now().getTime()

  async function change(...changes: AccountChange[]): Promise<void> {
    assert.equal(await store().accounts.change(await store().accounts.version(), changes, []), true)
  }
  const lock = (repository: string, tag: string, more: Partial<TagLock> = {}) =>
    change({
      table: 'tag_lock',
      put: { repository, tag, isFixed: true, isKept: true, lockedBy: 'ann', lockedAt: ms(), ...more },
    })
  const setRules = (scope: string, ...rules: object[]) => {
    const set: RuleSet = { kind: 'immutability', scope, document: JSON.stringify({ rules }), changedAt: ms() }
    return change({ table: 'rule_set', put: set })
  }
  const denied = { code: 'DENIED', status: 403 }

  describe('rules for tags', () => {
    it('hold from when they are written, also when the store is opened again', async () => {
      await push(pushOf('rules/a', 'one', { tags: ['v1'] }))
      await push(pushOf('rules/a', 'two', { tags: ['v1'] }))
      await setRules('rules/*', { tags: ['v*'], exclude: ['vx'] })
      await assert.rejects(store().manifests.push(pushOf('rules/a', 'three', { tags: ['free', 'v1'] }), actor), denied)
      await reopen()
      await assert.rejects(store().manifests.push(pushOf('rules/a', 'three', { tags: ['v1'] }), actor), denied)
      assert.equal(await store().manifests.find('rules/a', { tag: 'free' }), undefined)
      await push(pushOf('rules/a', 'two', { tags: ['v1'] }))
      for (const text of ['one', 'two']) await push(pushOf('rules/a', text, { tags: ['vx', 'dev'] }))
      await change({ table: 'rule_set', remove: { kind: 'immutability', scope: 'rules/*' } })
      await push(pushOf('rules/a', 'three', { tags: ['v1'] }))
    })

    it('let one of many pushes at once win', async () => {
      await push(pushOf('race/a', 'other', { tags: ['dev'] }))
      await setRules('race/a', { tags: ['v*'] })
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          store().manifests.push(pushOf('race/a', `text ${index}`, { tags: ['v1'] }), actor),
        ),
      )
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    })

    it('keep tags from being deleted, with the image too', async () => {
      const digest = await push(pushOf('kept/a', 'text', { tags: ['v1', 'dev'] }))
      await setRules('kept/a', { tags: ['v1'], overwrite: 'allow', delete: 'deny' })
      await assert.rejects(store().tags.delete('kept/a', 'v1', actor), denied)
      await assert.rejects(store().manifests.delete('kept/a', digest, actor), denied)
      assert.equal(await store().tags.delete('kept/a', 'dev', actor), true)
      assert.deepEqual([...(await store().rules.keptTags('kept/a', ['v1', 'dev'])).keys()], ['v1'])
      const { kept, tags } = await store().rules.retire('kept/a', [{ digest, tags: ['v1'] }], retention)
      assert.deepEqual([kept, tags], [['v1'], []])
    })

    it('keep what a tag needs as well: children of its index, and blobs', async () => {
      const layer = await commitBlob('kept/b', 'layer')
      const child = await push(
        pushOf('kept/b', 'child', { references: [{ digest: layer, size: 5, kind: 'blob' as const }] }),
      )
      const references = [{ digest: child, size: 5, kind: 'child' as const }]
      const index = await push(pushOf('kept/b', 'index', { tags: ['v1'], references }))
      await lock('kept/b', 'v1')
      await assert.rejects(store().manifests.delete('kept/b', child, actor), denied)
      await assert.rejects(store().blobs.unlink('kept/b', layer, actor), denied)
      await change({ table: 'tag_lock', remove: { repository: 'kept/b' } })
      await setRules('kept/b', { delete: 'deny' })
      await assert.rejects(store().manifests.delete('kept/b', child, actor), denied)
      await assert.rejects(store().blobs.unlink('kept/b', layer, actor), denied)
      await change({ table: 'rule_set', remove: { kind: 'immutability', scope: 'kept/b' } })
      assert.deepEqual(await store().manifests.delete('kept/b', index, actor), ['v1'])
      assert.deepEqual(await store().manifests.delete('kept/b', child, actor), [])
      assert.equal(await store().blobs.unlink('kept/b', layer, actor), true)
    })

    it('are locks of single tags as well', async () => {
      const digest = await push(pushOf('locked/a', 'text', { tags: ['v1', 'v2'] }))
      await lock('locked/a', 'v1')
      await lock('locked/a', 'v2', { isKept: false })
      for (const tag of ['v1', 'v2'])
        await assert.rejects(store().manifests.push(pushOf('locked/a', 'other', { tags: [tag] }), actor), denied)
      await assert.rejects(store().tags.delete('locked/a', 'v1', actor), denied)
      await assert.rejects(store().manifests.delete('locked/a', digest, actor), denied)
      assert.equal(await store().tags.delete('locked/a', 'v2', actor), true)
      await change({ table: 'tag_lock', remove: { repository: 'locked/a', tag: 'v1' } })
      assert.deepEqual(await store().manifests.delete('locked/a', digest, actor), ['v1'])
    })
  })

  describe('tags that expire', () => {
    it('are due in order of their time, a page at a time', async () => {
      await push(pushOf('due/a', 'text', { tags: ['a', 'b', 'c'] }))
      for (const [tag, seconds] of [
        ['a', 20],
        ['b', 10],
        ['c', 90],
      ] as const)
        assert.equal(await store().rules.setExpiry('due/a', tag, { at: ms() + seconds * 1000, by: 'ann' }), true)
      assert.equal(await store().rules.setExpiry('due/a', 'none', { at: ms(), by: 'ann' }), false)
      assert.deepEqual(await store().rules.due(ms(), 10), [])
      const first = await store().rules.due(ms() + 30_000, 1)
      const second = await store().rules.due(ms() + 30_000, 9, first[0])
      assert.deepEqual(
        [...first, ...second].map(({ tag }) => tag),
        ['b', 'a'],
      )
      await store().rules.setExpiry('due/a', 'b', { at: undefined, by: 'ann' })
      assert.deepEqual(
        (await store().rules.due(ms() + 30_000, 9)).map(({ tag }) => tag),
        ['a'],
      )
    })

    it('forget what a label said when they move, but not what somebody said', async () => {
      const digest = await push(pushOf('due/b', 'one', { tags: ['label', 'said'] }))
      const at = ms() + 1000
      assert.equal(await store().rules.setExpiry('due/b', 'label', { at, by: byLabel, digest }), true)
      await store().rules.setExpiry('due/b', 'said', { at, by: 'ann' })
      assert.equal(await store().rules.setExpiry('due/b', 'said', { at: at + 9, by: byLabel, digest }), false)
      await push(pushOf('due/b', 'one', { tags: ['label'] }))
      assert.equal((await store().rules.tag('due/b', 'label'))?.expiresAt, at)
      await push(pushOf('due/b', 'two', { tags: ['label', 'said'] }))
      assert.equal((await store().rules.tag('due/b', 'label'))?.expiresAt, undefined)
      assert.equal((await store().rules.tag('due/b', 'said'))?.expiresAt, at)
      assert.equal(await store().rules.setExpiry('due/b', 'label', { at, by: byLabel, digest }), false)
      const next = await push(pushOf('due/b', 'two', { tags: ['label'] }))
      assert.equal(await store().rules.setExpiry('due/b', 'label', { at, by: byLabel, digest: next }), true)
    })
  })

  describe('what is retired', () => {
    it('leaves where it still stands, and with its last tag goes to the trash', async () => {
      const one = await push(pushOf('retire/a', 'one', { tags: ['a', 'b'] }))
      const two = await push(pushOf('retire/a', 'two', { tags: ['c'] }))
      await push(pushOf('retire/a', 'three', { tags: ['c', 'd'] }))
      passSeconds(1)
      const events = await eventsOf(async () => {
        const retired = await store().rules.retire(
          'retire/a',
          [
            { digest: one, tags: ['a'] },
            { digest: two, tags: ['c'] },
          ],
          retention,
        )
        assert.deepEqual(retired, { waits: false, tags: ['a'], images: [], kept: [] })
      })
      assert.deepEqual(
        events.map(({ type }) => type),
        ['tag.deleted'],
      )
      const last = await store().rules.retire(
        'retire/a',
        [
          { digest: one, tags: ['b'] },
          { digest: two, tags: [] },
        ],
        retention,
      )
      assert.deepEqual(last.images, [one, two])
      const trash = await store().history.trash('retire/a', { limit: 9 })
      assert.deepEqual(
        trash.map(({ digest, why, by, tags }) => [digest, why, by, tags]).toSorted(),
        [
          [one, 'retention', 'rules', ['b']],
          [two, 'retention', 'rules', []],
        ].toSorted(),
      )
      assert.equal((await store().history.moves('retire/a', 'b', { limit: 1 }))[0]?.why, 'retention')
    })

    it('stays while an index holds it, and weighs what nothing else refers to', async () => {
      const child = await push(pushOf('retire/b', 'child', { tags: ['x'] }))
      const references = [{ digest: child, size: 5, kind: 'child' as const }]
      const index = await push(pushOf('retire/b', 'index', { tags: ['y'], references }))
      const first = await store().rules.retire('retire/b', [{ digest: child, tags: ['x'] }], retention)
      assert.deepEqual([first.tags, first.images], [['x'], []])
      const images = await store().rules.images('retire/b', '', 9)
      assert.deepEqual(
        images.map(({ digest }) => digest),
        [child, index].toSorted(),
      )
      const parent = images.find(({ digest }) => digest === index)!.id
      assert.deepEqual(await store().rules.children('retire/b', [parent]), [{ parent, child }])
      assert.deepEqual(
        await store().rules.weigh(
          'retire/b',
          images.map(({ id }) => id),
        ),
        [],
      )
      assert.deepEqual(
        (await store().rules.tags('retire/b', '', 9)).map(({ name }) => name),
        ['y'],
      )
    })

    it('is remembered, the newest first', async () => {
      const run = {
        at: ms(),
        state: 'applied' as const,
        plan: 'p',
        actor: 'ann',
        tags: 1,
        images: 1,
        bytes: 5,
        body: '[]',
      }
      for (const repository of ['runs/a', 'runs/b', 'other']) await store().rules.runs.record({ ...run, repository })
      const names = async (where: { repository?: string; prefix?: string }) =>
        (await store().rules.runs.list(where, { limit: 9 })).map(({ repository }) => repository)
      assert.deepEqual(await names({}), ['other', 'runs/b', 'runs/a'])
      assert.deepEqual(await names({ prefix: 'runs' }), ['runs/b', 'runs/a'])
      assert.deepEqual(await names({ repository: 'other' }), ['other'])
    })
  })
}
