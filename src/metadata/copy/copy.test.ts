import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { type Postgres, startPostgres, withoutPostgres } from '../../../test/support/postgres.ts'
import { digestOf } from '../../oci/digest.ts'
import { actor, pushOf } from '../contract/tools.ts'
import { createPostgresStore } from '../postgres/store.ts'
import { migrationsFrom } from '../sql/schema.ts'
import { words } from '../sqlite/dialect.ts'
import { createSqliteStore } from '../sqlite/store.ts'
import type { SqlStore } from '../sql/store.ts'
import { copyTables } from './copy.ts'
import { copyDatabase, type Place } from './index.ts'
import { fromSqlite, intoSqlite } from './sqlite.ts'
import { tables } from './tables.ts'

const clock = { now: () => new Date() }

/** Something of everything, with what is awkward. */
async function fill(store: SqlStore): Promise<void> {
  const subject = digestOf(Buffer.from('subject'))
  for (let i = 0; i < 50; i++) {
    const digest = digestOf(Buffer.from(`blob ${i}`))
    await store.blobs.commit({ repository: `team/${i % 3}`, digest, size: i, upload: '' }, actor)
    const annotations = { text: 'ä\0 "\\u0000"\n{},NULL' }
    const more = { tags: [`v${i}`, 'latest'], subject, artifactType: ['a/b', "odd'", ''][i % 3], annotations }
    await store.manifests.push(pushOf(`team/${i % 3}`, `\xff\0 manifest ${i}`, more), actor)
  }
  await store.tags.delete('team/1', 'v1', actor)
  await store.uploads.create({ id: 'unfinished', repository: 'team/1', algorithm: 'sha512', owner: 'ann' })
  await store.cursors.set('reader', -1)
  await store.jobs.claim('job', 'me', 60)
}

/** What a store says, as far as anybody can ask. */
async function tellAll(store: SqlStore) {
  const repositories = await Array.fromAsync(store.volume.repositories())
  const subject = digestOf(Buffer.from('subject'))
  return {
    facts: await Promise.all(repositories.map((name) => store.volume.of(name))),
    manifests: await Promise.all(repositories.map((name) => store.manifests.find(name, { tag: 'latest' }))),
    histories: await Promise.all(repositories.map((name) => store.history.moves(name, 'latest', { limit: 100 }))),
    referrers: await Promise.all(
      repositories.map((name) => store.manifests.referrers(name, subject, [], { limit: 99, bytes: 1e6 })),
    ),
    odd: await store.manifests.referrers('team/1', subject, ["odd'"], { limit: 99, bytes: 1e6 }),
    events: await store.events.after(0, 1000),
    last: await store.events.last(),
    upload: { ...(await store.uploads.find('unfinished')) },
    cursor: await store.cursors.get('reader'),
    isJobFree: await store.jobs.claim('job', 'another', 60),
  }
}

describe('a copy of a database', { skip: withoutPostgres }, () => {
  let postgres: Postgres
  let folder: string
  before(async () => {
    postgres = await startPostgres()
    folder = await mkdtemp(join(tmpdir(), 'holdfast-copy-'))
  })
  after(async () => {
    await postgres.dispose()
    await rm(folder, { recursive: true, force: true })
  })
  const open = async (place: Place): Promise<SqlStore> =>
    'url' in place
      ? createPostgresStore({ url: place.url, clock })
      : createSqliteStore({ folder: (place as { folder: string }).folder, clock })
  async function told(place: Place) {
    const store = await open(place)
    const all = await tellAll(store)
    await store.close()
    return all
  }

  it('is for nobody else to read', async () => {
    const file = join(folder, 'private.db')
    await intoSqlite(file, async () => {})
    assert.equal((await stat(file)).mode & 0o077, 0)
  })

  it('knows every column there is', async () => {
    const file = join(folder, 'columns.db')
    await intoSqlite(file, async () => {})
    const database = new DatabaseSync(file)
    const inSqlite = database
      .prepare(
        `select m.name || '.' || i.name as name from sqlite_master m, pragma_table_info(m.name) i
         where m.type = 'table' and m.name not like 'sqlite%' order by 1`,
      )
      .all()
      .map(({ name }) => name)
    database.close()
    const known = tables.flatMap(({ name, columns }) => Object.keys(columns).map((column) => `${name}.${column}`))
    assert.deepEqual(known.toSorted(), inSqlite)
    const url = await postgres.createDatabase()
    await (await open({ url })).close()
    const inPostgres = await postgres.execute<{ name: string }>(
      `select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'public'
       and table_name <> 'schema_version' and column_name <> 'xid' order by 1`,
      new URL(url).pathname.slice(1),
    )
    assert.deepEqual(
      inPostgres.map(({ name }) => name),
      known.toSorted(),
    )
  })

  it('is the same everywhere and can be gone on with', async () => {
    const first = { folder: join(folder, 'first') }
    const store = await open(first)
    await fill(store)
    const online = { file: join(folder, 'online.db') }
    await copyDatabase(first, online, { online: true })
    await store.close()
    const way: Place[] = [
      { url: await postgres.createDatabase() },
      { url: await postgres.createDatabase() },
      { file: join(folder, 'backup.db') },
      { folder: join(folder, 'last') },
    ]
    let from: Place = first
    for (const to of way) {
      await copyDatabase(from, to, { online: false })
      from = to
    }
    await copyDatabase(online, { folder: join(folder, 'of-online') }, { online: false })
    const expected = await told(first)
    for (const place of [way[0]!, way[1]!, way[3]!, { folder: join(folder, 'of-online') }])
      assert.deepEqual(await told(place), expected, JSON.stringify(place))
    for (const place of [way[1]!, way[3]!]) {
      const again = await open(place)
      await again.blobs.commit({ repository: 'new', digest: digestOf(Buffer.from('x')), size: 1, upload: '' }, actor)
      assert.equal((await again.manifests.push(pushOf('new', 'new'), actor)).outcome, 'pushed')
      assert.equal((await again.events.after(expected.last, 10)).length, 2)
      await again.close()
    }
  })

  it('is how things stood at one moment, while others write', async () => {
    for (const place of [{ folder: join(folder, 'busy') }, { url: await postgres.createDatabase() }]) {
      const store = await open(place)
      let isOver = false
      let pushed = 0
      const writing = (async () => {
        for (; !isOver; pushed++) {
          const digest = digestOf(Buffer.from(`layer ${pushed}`))
          await store.blobs.commit({ repository: 'busy', digest, size: 9, upload: '' }, actor)
          const references = [{ digest, size: 9, kind: 'blob' as const }]
          await store.manifests.push(pushOf('busy', `manifest ${pushed}`, { tags: ['v1'], references }), actor)
        }
      })()
      while (pushed < 30) await new Promise((resolve) => setTimeout(resolve, 5))
      const before = pushed
      const file = join(folder, `busy-${'url' in place}.db`)
      await copyDatabase(place, { file }, { online: true })
      isOver = true
      await writing
      const counts = await fromSqlite(file, async ({ execute }) =>
        execute({
          text: `select (select count(*) from manifest) as manifests, (select count(*) from blob_link) as links,
                   (select count(*) from event) as events, (select sequence from event order by sequence desc limit 1) as last`,
          values: [],
        }),
      )
      const { manifests, links, events } = counts[0] as Record<string, number>
      assert.ok(
        manifests! >= before && links! - manifests! <= 1 && events === links! + manifests!,
        JSON.stringify(counts),
      )
      await store.close()
    }
  })

  it('is refused where it would hurt, and then nothing is left', async () => {
    const used = { folder: join(folder, 'used') }
    const store = await open(used)
    await fill(store)
    const url = await postgres.createDatabase()
    const running = await open({ url })
    const refuse = (from: Place, to: Place, reason: RegExp) =>
      assert.rejects(copyDatabase(from, to, { online: false }), reason)
    const file = join(folder, 'never.db')
    await refuse(used, { file }, /another Holdfast is using it/)
    await refuse({ url }, { file }, /a Holdfast is using it \(\d+ connections\): stop it first/)
    await running.jobs.claim('used', 'me', 1)
    await running.close()
    await store.close()
    await refuse(used, { url }, /Cannot copy to 127\.0\.0\.1:\d+\/holdfast_\d+: it is not empty: table job has rows/)
    await refuse({ url }, used, /holdfast\.db is there already; move it away/)
    await refuse({ file: join(folder, 'missing.db') }, { file }, /no such file/)
    await refuse({ url: await postgres.createDatabase() }, { file }, /it is of an older Holdfast, or of none/)
    const garbage = join(folder, 'garbage.db')
    await writeFile(garbage, 'no database at all'.repeat(100))
    await refuse({ file: garbage }, { file }, /file is not a database/)
    await writeFile(garbage, '')
    await refuse({ file: garbage }, { file }, /is no database of Holdfast/)
    assert.ok(!existsSync(file) && !existsSync(`${file}.partial`))
  })

  it('does not count when it is not the same', async () => {
    const file = join(folder, 'altered.db')
    const altered = fromSqlite(join(folder, 'used/holdfast.db'), (source) =>
      intoSqlite(file, (target) =>
        copyTables(source, {
          ...target,
          insert: (table, rows) =>
            target.insert(table, table.name === 'tag' ? rows.map((row) => ({ ...row, moved_at: 1 })) : rows),
        }),
      ),
    )
    await assert.rejects(altered, /the copy of table tag is not the same/)
    assert.ok(!existsSync(file))
  })

  it('is made also of an older backup', async () => {
    const file = join(folder, 'older.db')
    const older = new DatabaseSync(file)
    for (const text of migrationsFrom(0, words).slice(0, 2)) older.exec(text)
    older.exec("insert into repository (name) values ('old')")
    older.exec('pragma user_version = 2')
    older.close()
    const copied = await copyDatabase({ file }, { url: await postgres.createDatabase() }, { online: false })
    assert.deepEqual(copied[0], { table: 'repository', rows: 1 })
  })
})
