import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { testMetadataStore } from '../contract.ts'
import type { Run } from '../sql/commands.ts'
import { migrationsFrom } from '../sql/schema.ts'
import { words } from './dialect.ts'
import { createSqliteReader } from './reader.ts'
import { createSqliteStore } from './store.ts'

testMetadataStore('SQLite', async (clock) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-metadata-'))
  let store = createSqliteStore({ folder, clock })
  const reopen = async () => (await store.close(), (store = createSqliteStore({ folder, clock })))
  return { store, reopen, dispose: async () => (await store.close(), rm(folder, { recursive: true })) }
})

testMetadataStore('SQLite read by another process', async (clock) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-metadata-'))
  let writer = createSqliteStore({ folder, clock })
  const open = () =>
    createSqliteReader({ folder, clock, run: ((...command) => writer.run(...command)) as Run, term: () => 1 })
  let store = open()
  const close = async () => (await store.close(), writer.close())
  const reopen = async () => {
    await close()
    writer = createSqliteStore({ folder, clock })
    return (store = open())
  }
  return { store, reopen, dispose: async () => (await close(), rm(folder, { recursive: true })) }
})

it('knows the last event of an older database that forgot it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-metadata-'))
  const clock = { now: () => new Date() }
  const older = new DatabaseSync(join(folder, 'holdfast.db'))
  for (const text of migrationsFrom(0, words).slice(0, 2)) older.exec(text)
  older.exec("insert into event (sequence, at, body) values (41, 0, '{}'), (42, 0, '{}'); delete from event")
  older.exec('pragma user_version = 2')
  older.close()
  const store = createSqliteStore({ folder, clock })
  assert.equal(await store.events.last(), 42)
  assert.deepEqual(await store.events.after(0, 10), [])
  await store.close()
  await rm(folder, { recursive: true })
})

it('lets only one process have a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-metadata-'))
  const clock = { now: () => new Date() }
  const store = createSqliteStore({ folder, clock })
  assert.throws(() => createSqliteStore({ folder, clock }), /another Holdfast is using it/)
  await store.close()
  await createSqliteStore({ folder, clock }).close()
  await rm(folder, { recursive: true })
})

it('makes its files for their owner alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-metadata-'))
  const store = createSqliteStore({ folder, clock: { now: () => new Date() } })
  for (const name of ['holdfast.db', 'holdfast.db-wal', 'holdfast.db-shm'])
    assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name)
  await store.close()
  await rm(folder, { recursive: true })
})
