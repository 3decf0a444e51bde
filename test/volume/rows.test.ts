import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { before, describe, it } from 'node:test'
import { createCollector } from '../../src/collection/collector.ts'
import { rescuing } from '../../src/storage/rescuing.ts'
import { openStores } from '../../src/stores.ts'
import { call, digestOf } from '../support/client.ts'
import { configurationFor } from '../support/configuration.ts'
import { holdfast } from '../support/holdfast.ts'
import { type Inventory, inventoryOf } from '../support/inventory.ts'
import { attach, pushIndex, pushText, remove } from '../support/push.ts'
import { check, makeVolume, serve } from './tools.ts'

// Databases that lack rows, as somebody with a SQLite shell leaves them.

let base: string
let healthy: Inventory
let trashed: string
const layer = digestOf('layer of v1')
before(async () => {
  base = await makeVolume()
  const { url, close } = await serve(base)
  const image = await pushText(url, 'app', 'v1', 'v1')
  await attach(url, 'app', image)
  trashed = (await pushText(url, 'app', 'old', 'old')).digest
  await remove(url, 'app', trashed)
  await pushIndex(url, 'multi', 'v1', 'multi')
  await pushText(url, 'zoo', 'v1', 'zoo')
  healthy = await inventoryOf(url)
  await close()
})

/** What is deleted, and what fsck says then. */
const losses: Record<string, { statement: string; finding: RegExp }> = {
  'the rows of blobs': {
    statement: 'delete from blob',
    finding: /sha256:\w+: a blob of repositories that the database does not know \(take it from its bytes\)/,
  },
  'the row of one blob': {
    statement: `delete from blob where digest = '${layer}'`,
    finding: new RegExp(`^${layer}: a blob of repositories`),
  },
  'the links of blobs': {
    statement: 'delete from blob_link',
    finding: /app\/_layers\/sha256\/\w+\/link: is not what the database says \(take it into the database\)/,
  },
  'what manifests refer to': {
    statement: 'delete from reference',
    finding: /app@sha256:\w+: the database lacks what the manifest refers to \(read the manifest again\)/,
  },
  'some of it': {
    statement: `delete from reference where digest = '${layer}'`,
    finding: /app@sha256:\w+: the database lacks what the manifest refers to/,
  },
  'the rows of referrers': {
    statement: 'delete from referrer',
    finding: /app@sha256:\w+: the database does not list it under its subject \(list it\)/,
  },
  'the rows of manifests': {
    statement: 'delete from manifest where trashed_at is null',
    finding: /revisions\/sha256\/\w+\/link: is not what the database says \(take it into the database\)/,
  },
  'the rows of tags': {
    statement: 'delete from tag',
    finding: /tags\/v1\/current\/link: is not what the database says \(take it into the database\)/,
  },
  'the row of a repository': {
    statement: `delete from repository where name = 'app'`,
    finding: /app: content of repository 1, whose name the database lacks \(give it back\)/,
  },
  'the row of the last repository': {
    statement: `delete from repository where name = 'zoo'`,
    finding: /zoo: content of repository 3, whose name the database lacks/,
  },
}

function lose(data: string, statement: string): void {
  const database = new DatabaseSync(join(data, 'holdfast/holdfast.db'), { enableForeignKeyConstraints: false })
  try {
    database.exec(statement)
  } finally {
    database.close()
  }
}

describe('a database that lacks', { concurrency: 4 }, () => {
  for (const [what, { statement, finding }] of Object.entries(losses)) {
    it(`${what} is told by fsck, and mended with --repair`, async () => {
      const data = await makeVolume(base)
      lose(data, statement)
      assert.match(lines(await check(data)), finding)
      const mended = await check(data, true)
      assert.ok(mended.length > 0 && mended.every((one) => one.mended), lines(mended))
      assert.equal(lines(await check(data)), '')
      await expectHealthy(data)
    })
  }

  it('rows of every kind is made anew by reindex', async () => {
    const data = await makeVolume(base)
    for (const { statement } of Object.values(losses)) lose(data, statement)
    const { code, output } = await holdfast('reindex', '--data', data)
    assert.equal(code, 0, output)
    assert.equal(lines(await check(data)), '')
    await expectHealthy(data)
  })

  it('the name of a repository that the tree has not either calls it lost', async () => {
    const data = await makeVolume(base)
    lose(data, `delete from repository where name = 'app'`)
    await rm(join(data, 'docker/registry/v2/repositories/app'), { recursive: true })
    assert.match(lines(await check(data)), /lost\/1: content of repository 1, whose name the database lacks/)
    await check(data, true)
    assert.equal(lines(await check(data)), '')
    const { url, close } = await serve(data)
    assert.deepEqual((await inventoryOf(url))['lost/1'], healthy.app)
    await close()
  })

  it('the row of a blob whose bytes are gone as well is told, and its links are taken out', async () => {
    const data = await makeVolume(base)
    lose(data, `delete from blob where digest = '${layer}'`)
    await rm(join(data, `docker/registry/v2/blobs/sha256/${layer.slice(7, 9)}/${layer.slice(7)}/data`))
    assert.match(
      lines(await check(data)),
      /a blob of repositories that the database does not know and whose bytes are gone/,
    )
    await check(data, true)
    assert.match(lines(await check(data)), /^[^\n]*manifest lacks sha256:\w+: push the image again \(undefined\)$/)
  })

  it('references whose manifest is gone keeps nothing by them', async () => {
    const data = await makeVolume(base)
    lose(data, `delete from manifest where digest = '${trashed}'`)
    assert.match(lines(await check(data)), /references of manifests that are gone \(forget them\)/)
    await check(data, true)
    assert.equal(lines(await check(data)), '')
  })
})

/** Everything is served, and the collector takes nothing of it. */
async function expectHealthy(data: string): Promise<void> {
  await collect(data)
  const { url, close } = await serve(data)
  assert.deepEqual(await inventoryOf(url), healthy)
  assert.equal((await call(url, 'GET', `/v2/app/blobs/${layer}`)).status, 200)
  const referrers = await call(url, 'GET', `/v2/app/referrers/${healthy.app!.v1}`)
  assert.equal(JSON.parse(String(referrers.body)).manifests.length, 1)
  await close()
}

/** Has the collector take all it may. */
async function collect(data: string): Promise<void> {
  const configuration = configurationFor(data, ({ collection }) => (collection.fusePercent = 100))
  const clock = { now: () => new Date() }
  const none = () => {}
  const log = { debug: none, info: none, warn: none, error: none }
  const { storage, store } = await openStores({ configuration, clock })
  const parts = { facts: store.collection, storage: rescuing(storage, store.collection), log, clock, configuration }
  await createCollector({ ...parts, follow: true, isServing: false, breathe: async () => {} }).run({ untagged: true })
  await store.close()
}

function lines(findings: Awaited<ReturnType<typeof check>>): string {
  return findings.map(({ path, problem, mend }) => `${path}: ${problem} (${mend})`).join('\n')
}
