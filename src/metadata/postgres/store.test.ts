import { after, before, describe } from 'node:test'
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
    let store = await createPostgresStore({ url, clock })
    const reopen = async () => (await store.close(), (store = await createPostgresStore({ url, clock })))
    return { store, reopen, dispose: () => store.close() }
  })
})
