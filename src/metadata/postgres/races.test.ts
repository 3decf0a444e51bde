import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Client } from 'pg'
import { type Postgres, startPostgres, withoutPostgres } from '../../../test/support/postgres.ts'
import { type Digest, digestOf } from '../../oci/digest.ts'
import type { RegistryEvent } from '../../registry/ports/events.ts'
import { actor, pushOf } from '../contract/tools.ts'
import type { SqlStore } from '../sql/store.ts'
import { createPostgresStore } from './store.ts'

const clock = { now: () => new Date() }

describe('several nodes on one PostgreSQL', { skip: withoutPostgres }, () => {
  let postgres: Postgres
  let url: string
  let nodes: SqlStore[]
  let told: RegistryEvent[][] = []
  before(async () => {
    postgres = await startPostgres()
    url = await postgres.createDatabase()
    // At the same time, on an empty database.
    nodes = await Promise.all([
      createPostgresStore({ url, clock, onEvents: (events) => told.push(events) }),
      createPostgresStore({ url, clock }),
    ])
  })
  after(async () => {
    for (const node of nodes) await node.close()
    await postgres.dispose()
  })

  for (const end of ['commit', 'rollback'] as const)
    it(`never show an event behind one that was read: ${end}`, async () => {
      const [node] = nodes as [SqlStore]
      const start = await node.events.last()
      const slow = new Client({ connectionString: url })
      await slow.connect()
      const body = JSON.stringify({ type: 'tag.deleted', repository: 'slow', tag: 'v1', at: '', actor })
      await slow.query('begin')
      await slow.query('select record_events($1, $2)', [0, [body]])
      told = []
      await node.blobs.commit({ repository: 'fast', digest: digestOf(Buffer.from(end)), size: 1, upload: '' }, actor)
      assert.deepEqual(await node.events.after(start, 10), [], 'the slow one comes first')
      assert.equal(await node.volume.lastEvent(), start)
      await until(() => told.length === 1)
      assert.equal(told[0]?.length, 1)
      await slow.query(end)
      await slow.end()
      const seen = await node.events.after(start, 10)
      assert.deepEqual(
        seen.map(({ repository }) => repository),
        end === 'commit' ? ['slow', 'fast'] : ['fast'],
      )
      assert.equal(await node.volume.lastEvent(), seen.at(-1)!.sequence)
      await until(() => told.length === 2)
      assert.deepEqual(told[1], [], 'readers are woken when they can see it')
    })

  it('hold to a rule that another has set, and let one of many pushes to such a tag win', async () => {
    const [one, two] = nodes as [SqlStore, SqlStore]
    const push = (node: SqlStore, tag: string, text: string) =>
      node.manifests.push(pushOf('fixed', text, { tags: [tag] }), actor)
    for (let round = 0; round < 5; round++) {
      for (const node of nodes) assert.deepEqual(await push(node, `v${round}`, `first ${round}`), { outcome: 'pushed' })
      const document = JSON.stringify({ rules: [{ tags: [`v${round}`, `r${round}`] }] })
      const put = { kind: 'immutability', scope: '*', document, changedAt: 1 } as const
      assert.ok(await one.accounts.change(await one.accounts.version(), [{ table: 'rule_set', put }], []))
      await assert.rejects(push(two, `v${round}`, 'second'), /is protected by the immutability rule/)
      const all = Array.from({ length: 20 }, (_, index) => push(nodes[index % 2]!, `r${round}`, `text ${index}`))
      const won = (await Promise.allSettled(all)).filter(({ status }) => status === 'fulfilled')
      assert.equal(won.length, 1)
    }
    const version = await one.accounts.version()
    await one.accounts.change(version, [{ table: 'rule_set', remove: { kind: 'immutability' } }], [])
    assert.deepEqual(await push(two, 'v0', 'second'), { outcome: 'pushed' })
  })

  it('see events that were restored from another server', async () => {
    const restored = await postgres.createDatabase()
    const before = await createPostgresStore({ url: restored, clock })
    for (const text of ['one', 'two'])
      await before.blobs.commit({ repository: 'r', digest: digestOf(Buffer.from(text)), size: 3, upload: '' }, actor)
    await before.close()
    await postgres.execute("update event set xid = '123456789012'", new URL(restored).pathname.slice(1))
    const after = await createPostgresStore({ url: restored, clock })
    assert.equal((await after.events.after(0, 10)).length, 2)
    await after.blobs.unlink('r', digestOf(Buffer.from('one')), actor)
    assert.equal((await after.events.after(0, 10)).length, 3)
    await after.close()
  })

  it('agree about every outcome, in the order of the log', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 120, maxLength: 120 }), async (commands) => {
        const world = `race${++run}`
        const start = await nodes[0]!.events.last()
        const reading = readWhile(nodes[1]!, start)
        const outcomes = await Promise.all(
          commands.map((given, i) => carryOut(nodes[i % 2]!, world, given).then((done) => ({ given, done }))),
        )
        const seen = await reading.stop()
        assert.deepEqual(seen, await nodes[0]!.events.after(start, 10_000), 'a reader misses nothing')
        assert.equal(seen.length, outcomes.filter(({ done }) => done).length)
        const model = createModel()
        for (const event of seen) model.apply(event)
        await assertSame(nodes[1]!, world, model)
      }),
      { numRuns: 6, endOnFailure: true },
    )
  })
})

const names = ['a', 'b']
const contents = ['one', 'two', 'three']
const digests = contents.map((text) => digestOf(Buffer.from(text)))

interface Command {
  kind: 'commit' | 'mount' | 'unlink' | 'push' | 'push-index' | 'create-tag' | 'delete' | 'delete-tag'
  repository: string
  other: string
  content: number
  tags: string[]
}

const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom('commit', 'mount', 'unlink', 'push', 'push-index', 'create-tag', 'delete', 'delete-tag'),
  repository: fc.constantFrom(...names),
  other: fc.constantFrom(...names),
  content: fc.nat(contents.length - 1),
  tags: fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { minLength: 1 }),
})

const manifestText = (content: number) => `manifest of ${contents[content]}`
const indexText = (content: number) => `index of ${contents[content]}`
/** What a push of this text refers to. */
const referencesOf = new Map<Digest, Digest>(
  contents.flatMap((_, content) => {
    const manifest = digestOf(Buffer.from(manifestText(content)))
    return [
      [manifest, digests[content]!],
      [digestOf(Buffer.from(indexText(content))), manifest],
    ] as const
  }),
)

/** Whether the command changed anything. */
async function carryOut(node: SqlStore, world: string, given: Command): Promise<boolean> {
  const [repository, from] = [`${world}/${given.repository}`, `${world}/${given.other}`]
  const digest = digests[given.content]!
  const size = contents[given.content]!.length
  const text = given.kind === 'push-index' ? indexText(given.content) : manifestText(given.content)
  const manifest = digestOf(Buffer.from(text))
  const child = given.kind === 'push-index'
  const references = [
    {
      digest: referencesOf.get(manifest)!,
      size: child ? manifestText(given.content).length : size,
      kind: child ? ('child' as const) : ('blob' as const),
    },
  ]
  switch (given.kind) {
    case 'commit':
      await node.blobs.commit({ repository, digest, size, upload: '' }, actor)
      return true
    case 'mount':
      return node.blobs.mount({ repository, digest, from }, actor)
    case 'unlink':
      return node.blobs.unlink(repository, digest, actor)
    case 'push':
    case 'push-index':
    case 'create-tag': {
      const expects = given.kind === 'create-tag' ? ('absent' as const) : undefined
      const tags = expects ? given.tags.slice(0, 1) : given.tags
      const by = { ...actor, name: expects ?? 'anyone' }
      const { outcome } = await node.manifests.push(pushOf(repository, text, { tags, references, expects }), by)
      return outcome === 'pushed'
    }
    case 'delete':
      return (await node.manifests.delete(repository, manifest, actor)) !== undefined
    case 'delete-tag':
      return node.tags.delete(repository, given.tags[0]!, actor)
  }
}

/** What must be true after each event, if the log has the order in which things happened. */
function createModel() {
  const blobs = new Set<string>()
  const manifests = new Set<string>()
  const tags = new Map<string, Digest>()
  function apply(event: RegistryEvent): void {
    const { repository } = event
    const key = 'digest' in event ? `${repository}@${event.digest}` : ''
    switch (event.type) {
      case 'blob.pushed':
        return void blobs.add(key)
      case 'blob.mounted':
        assert.ok(blobs.has(`${event.from}@${event.digest}`), 'what was mounted was there')
        return void blobs.add(key)
      case 'blob.deleted':
        return assert.ok(blobs.delete(key), 'what was unlinked was there')
      case 'manifest.pushed': {
        const needed = `${repository}@${referencesOf.get(event.digest)}`
        assert.ok(blobs.has(needed) || manifests.has(needed), 'what a manifest refers to was there')
        if (event.actor.name === 'absent') assert.ok(!tags.has(`${repository}:${event.tags[0]}`), 'the tag was absent')
        manifests.add(key)
        for (const tag of event.tags) tags.set(`${repository}:${tag}`, event.digest)
        return
      }
      case 'manifest.deleted': {
        assert.ok(manifests.delete(key), 'what was deleted was there')
        const itsTags = [...tags].filter(([tag, digest]) => tag.startsWith(`${repository}:`) && digest === event.digest)
        assert.deepEqual(
          itsTags.map(([tag]) => tag.slice(repository.length + 1)).toSorted(),
          event.tags.toSorted(),
          'with all its tags',
        )
        for (const [tag] of itsTags) tags.delete(tag)
        return
      }
      case 'tag.deleted':
        assert.ok(tags.delete(`${repository}:${event.tag}`), 'the deleted tag was there')
    }
  }
  return { apply, blobs, manifests, tags }
}

async function assertSame(node: SqlStore, world: string, model: ReturnType<typeof createModel>): Promise<void> {
  const [blobs, manifests, tags]: string[][] = [[], [], []]
  for (const repository of names.map((name) => `${world}/${name}`)) {
    const facts = await node.volume.of(repository)
    blobs!.push(...[...facts.layers].map((digest) => `${repository}@${digest}`))
    manifests!.push(...[...facts.manifests.keys()].map((digest) => `${repository}@${digest}`))
    tags!.push(...[...facts.tags].map(([tag, { digest }]) => `${repository}:${tag}=${digest}`))
  }
  assert.deepEqual(blobs!.toSorted(), [...model.blobs].toSorted())
  assert.deepEqual(manifests!.toSorted(), [...model.manifests].toSorted())
  assert.deepEqual(tags!.toSorted(), [...model.tags].map(([tag, digest]) => `${tag}=${digest}`).toSorted())
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !holds();) {
    assert.ok(Date.now() < end, `Waited in vain for ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Reads the events by a cursor for as long as others write. */
function readWhile(node: SqlStore, from: number) {
  const seen: Awaited<ReturnType<SqlStore['events']['after']>> = []
  let isOver = false
  const running = (async () => {
    for (let last = from; ;) {
      const wasOver = isOver
      const events = await node.events.after(last, 7)
      seen.push(...events)
      last = events.at(-1)?.sequence ?? last
      if (wasOver && events.length === 0) return
    }
  })()
  return {
    async stop() {
      isOver = true
      await running
      return seen
    },
  }
}
