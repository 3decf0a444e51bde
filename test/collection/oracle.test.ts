import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { createPostgresStore } from '../../src/metadata/postgres/store.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { blobPath } from '../../src/registry/paths.ts'
import type { StorageDriver } from '../../src/registry/ports/storage.ts'
import { createRandom } from '../durability/images.ts'
import { type Postgres, startPostgres, withoutPostgres } from '../support/postgres.ts'
import { createOracle, type Oracle, reachable, recall, settle, step, verify } from './client.ts'
import { Crashed, createWorld, hour, type Process, type World, type WorldOptions } from './world.ts'

/** HOLDFAST_STEPS=20000 for the long form. */
const steps = Number(process.env.HOLDFAST_STEPS ?? 480)
const seed = Number(process.env.HOLDFAST_SEED ?? 1)
/** Every statement goes over a connection. */
const stepsInPostgres = steps / 2
const perRound = 20
const clients = 4
const scopes = ['team', 'team/app1']

/** Pushes, mounts, deletes, restores and collection at once, with crashes, against what each client knows. */
async function play(options: WorldOptions & { collectors: number; steps?: number }): Promise<void> {
  const random = createRandom(seed)
  const world = await createWorld(options)
  const oracles = Array.from({ length: clients }, (_, index) => createOracle(`team/app${index}`))
  try {
    for (const scope of scopes) await world.store.quotas.set({ scope, limit: 1e12, soft: 80, isConfigured: false })
    const slow = slowStorage(world, random)
    let running = world.start(slow)
    for (let played = 0; played < (options.steps ?? steps); played += perRound * clients) {
      running = await playRound(world, running, oracles, { random, slow, collectors: options.collectors })
      for (const oracle of oracles) await verify(oracle, running, world)
      world.pass(random() * 30 * hour)
      for (const oracle of oracles) forget(oracle, world.now() - options.trashMs + hour, options.untagged === true)
    }
    await expectClean(world, running, oracles, options)
  } finally {
    await world.dispose()
  }
}

async function playRound(
  world: World,
  process: Process,
  oracles: Oracle[],
  { random, slow, collectors }: { random: () => number; slow: Partial<StorageDriver>; collectors: number },
): Promise<Process> {
  const end = { reached: false }
  let count = 0
  const beginAt = random() * perRound * clients
  const collecting = Array.from({ length: collectors }, async () => {
    while (count < beginAt && !end.reached && !process.isOver()) await setImmediate()
    for (; !end.reached; await setImmediate()) await process.collector.run().catch(unlessCrashed)
  })
  const killAt = random() < 0.5 ? random() * perRound * clients : Infinity
  const playing = oracles.map(async (oracle) => {
    const others = oracles.filter((one) => one !== oracle).map(({ repository }) => repository)
    for (let i = 0; i < perRound && !process.isOver(); i++) {
      if (++count > killAt) return process.kill()
      world.pass(random() * 15_000)
      await step(oracle, { process, world, others, random })
    }
  })
  const played = Promise.allSettled(playing).finally(() => (end.reached = true))
  await Promise.allSettled([played, ...collecting])
  await Promise.all([...playing, ...collecting])
  if (!process.isOver()) return process
  await process.kill()
  for (const oracle of oracles) await settle(oracle, world)
  await world.store.collection.resume(world.now())
  return world.start(slow)
}

/** What the trash may have ended by now is promised no more, nor are blobs of the last round. */
function forget(oracle: Oracle, before: number, untagged: boolean): void {
  const { manifests, relied } = oracle
  relied.clear()
  const kept = untagged ? reachable(oracle) : undefined
  if (kept)
    for (const [digest, known] of manifests)
      if (known.trashedAt === undefined && !kept.has(digest)) {
        manifests.delete(digest)
        oracle.forgotten.set(digest, known)
      }
  for (const [digest, { trashedAt }] of manifests)
    if (trashedAt !== undefined && trashedAt < before) manifests.delete(digest)
}

async function expectClean(
  world: World,
  process: Process,
  oracles: Oracle[],
  { graceMs, trashMs, untagged = false }: WorldOptions,
) {
  for (const id of await world.store.uploads.startedBefore(new Date(world.now() + hour)))
    await world.store.uploads.delete(id)
  world.pass(graceMs + 50 * hour) // also files that a crash left come of age
  for (const oracle of oracles) forget(oracle, world.now() - trashMs, untagged)
  for (let i = 0; i < 3; i++) {
    assert.deepEqual((await process.collector.run({ sweep: true })).waiting, [])
    world.pass(graceMs + 2 * hour)
  }
  for (const oracle of oracles) await verify({ ...oracle, manifests: liveOf(oracle) }, process, world)
  world.pass(trashMs + graceMs + 2 * hour)
  for (let i = 0; i < 3; i++) {
    await process.collector.run({ sweep: true })
    world.pass(graceMs + 2 * hour)
  }
  for (const oracle of oracles) await recall(oracle, world)
  for (const oracle of oracles) await verify({ ...oracle, manifests: liveOf(oracle) }, process, world)
  const needed = new Set(
    oracles.flatMap((oracle) => [...liveOf(oracle).values()].flatMap(({ references }) => references)),
  )
  const expected: Digest[] = [...needed].toSorted()
  assert.deepEqual(await world.blobRows(), expected)
  assert.deepEqual(await world.blobFiles(), expected)
  for (const oracle of untagged ? oracles : [])
    assert.deepEqual(
      [...(await world.store.volume.of(oracle.repository)).manifests.keys()].toSorted(),
      [...reachable(oracle)].toSorted(),
    )
  assert.deepEqual(await world.store.collection.doomed(), { count: 0, bytes: 0 })
  await expectSizes(world, oracles)
  for (const scope of scopes) {
    const charged = await world.store.quotas.find(scope)
    await world.store.quotas.set(charged!)
    assert.deepEqual(await world.store.quotas.find(scope), charged, 'counted anew it is the same')
  }
}

/** What is said to be stored is what lies on the disk, and what an image frees is what nobody else needs. */
async function expectSizes({ store: { sizes }, files }: World, oracles: Oracle[]): Promise<void> {
  const known = oracles.map((oracle) => ({ ...oracle, live: liveOf(oracle) }))
  const lengths = new Map<string, number>()
  for (const { live } of known)
    for (const [digest, { content, references }] of live) {
      lengths.set(digest, content.length)
      for (const blob of references) lengths.set(blob, (await files.stat(blobPath(blob)))!.size)
    }
  const sum = (digests: Iterable<string>) =>
    [...new Set(digests)].reduce((bytes, digest) => bytes + lengths.get(digest)!, 0)
  const blobsOf = ({ live }: (typeof known)[number]) => [...live.values()].flatMap(({ references }) => references)
  const all = await sizes.all()
  assert.equal(all.blobs, sum(known.flatMap(blobsOf)))
  assert.equal(all.manifests, sum(known.flatMap(({ live }) => [...live.keys()])))
  const found = []
  for (const name of await sizes.repositories('team')) found.push(await sizes.repository(name))
  assert.equal(
    found.reduce((bytes, { first }) => bytes + first, 0),
    all.blobs + all.manifests,
  )
  for (const one of known) {
    const others = new Set(
      known.filter((other) => other !== one).flatMap((other) => [...blobsOf(other), ...other.live.keys()]),
    )
    const held = [...blobsOf(one), ...one.live.keys()]
    const { stored, exclusive } = await sizes.repository(one.repository)
    assert.equal(stored, sum(held))
    assert.equal(exclusive, sum(held.filter((digest) => !others.has(digest))))
    for (const [digest, { references }] of one.live) {
      if (references.length === 0) continue // an index
      const besides = [...one.live].flatMap(([other, it]) => (other === digest ? [] : it.references))
      const alone = [digest, ...references].filter((each) => !others.has(each) && !besides.includes(each as Digest))
      assert.deepEqual(await sizes.image(one.repository, digest), {
        stored: sum([digest, ...references]),
        exclusive: sum(alone),
      })
    }
  }
}

function liveOf({ manifests }: Oracle): Oracle['manifests'] {
  return new Map([...manifests].filter(([, { trashedAt }]) => trashedAt === undefined))
}

/** Publishing and deleting take their time, so that others come in between. */
function slowStorage({ files }: World, random: () => number): Partial<StorageDriver> {
  const dawdle = async () => {
    if (random() < 0.5) await setTimeout(random() * 4)
  }
  return {
    async publish(from, to) {
      await dawdle()
      await files.publish(from, to)
      await dawdle()
    },
    async delete(path) {
      await dawdle()
      await files.delete(path)
    },
  }
}

function unlessCrashed(error: unknown): void {
  if (!(error instanceof Crashed)) throw error
}

describe('collection beside everything else loses nothing and leaves nothing', () => {
  it('in SQLite, with a day of grace', () => play({ graceMs: 24 * hour, trashMs: 7 * 24 * hour, collectors: 1 }))
  it('in SQLite, without grace and with a short trash', () => play({ graceMs: 0, trashMs: 3 * hour, collectors: 1 }))

  it('in SQLite, with what is untagged', () =>
    play({ graceMs: 24 * hour, trashMs: 48 * hour, untagged: true, collectors: 1 }))

  describe('in PostgreSQL, with two collectors at once', { skip: withoutPostgres }, () => {
    let postgres: Postgres
    before(async () => {
      postgres = await startPostgres()
    })
    after(() => postgres.dispose())

    for (const [graceMs, trashMs] of [
      [24 * hour, 7 * 24 * hour],
      [0, 3 * hour],
    ] as const)
      it(`with a grace of ${graceMs / hour} hours`, async () => {
        const url = await postgres.createDatabase()
        await play({
          graceMs,
          trashMs,
          collectors: 2,
          steps: stepsInPostgres,
          openStore: (clock) => createPostgresStore({ url, clock }),
        })
      })
  })
})
