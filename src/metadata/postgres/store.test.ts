import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Postgres, startPostgres, withoutPostgres } from '../../../test/support/postgres.ts'
import { testMetadataStore } from '../contract.ts'
import { createPostgresStore } from './store.ts'

describe('with PostgreSQL', { skip: withoutPostgres }, () => {
  let postgres: Postgres
  before(async () => {
    postgres = await startPostgres()
  })
  after(() => postgres.dispose())

  testMetadataStore('PostgreSQL', async (clock) => {
    const url = await postgres.createDatabase()
    const passing = () => clock.now().getTime()
    const open = () => createPostgresStore({ url, clock, time: { ofDatabase: async () => passing(), passing } })
    let store = await open()
    const reopen = async () => (await store.close(), (store = await open()))
    return { store, reopen, dispose: () => store.close() }
  })

  it('goes by the clock of the database where nodes wait for each other, and tells of one that differs', async () => {
    const url = await postgres.createDatabase()
    const skews: number[] = []
    const open = (minutesAhead: number) =>
      createPostgresStore({
        url,
        clock: { now: () => new Date(Date.now() + minutesAhead * 60_000) },
        onSkew: (ms) => skews.push(Math.round(ms / 60_000)),
      })
    const [right, ahead] = [await open(0), await open(10)]
    assert.equal(await right.jobs.claim('one', 'right', 60), true)
    assert.equal(await ahead.jobs.claim('one', 'ahead', 60), false)
    await ahead.jobs.claim('two', 'ahead', 60)
    await ahead.jobs.release('two', 'ahead', 0)
    assert.equal(await right.jobs.claim('two', 'right', 60), true)
    assert.deepEqual(skews, [10])
    await Promise.all([right.close(), ahead.close()])
  })
})
