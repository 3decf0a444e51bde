import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Postgres, startPostgres, withoutPostgres } from '../support/postgres.ts'

const files = [...['blobs', 'lists', 'manifests', 'mounts', 'referrers', 'tags', 'uploads'], '../hostile/corpus'].map(
  (name) => join(import.meta.dirname, `${name}.test.ts`),
)

/** The tests of what lies in the database, once more with PostgreSQL; each of these files starts one registry. */
describe('over PostgreSQL', { skip: withoutPostgres }, () => {
  let postgres: Postgres
  before(async () => {
    postgres = await startPostgres()
  })
  after(() => postgres.dispose())

  for (const file of files)
    it(`passes ${basename(file)}`, async () => {
      const url = await postgres.createDatabase()
      const env: NodeJS.ProcessEnv = { ...process.env, HOLDFAST_DATABASE_URL: url }
      delete env.NODE_TEST_CONTEXT // else it would report to the parent
      const child = spawn(process.execPath, ['--test', '--test-force-exit', file], { env })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
      const [code] = await once(child, 'close')
      assert.equal(code, 0, output.slice(-3000))
      const [used] = await postgres.execute<{ count: number }>(
        'select count(*)::int from event',
        new URL(url).pathname.slice(1),
      )
      assert.ok(used!.count > 0, 'it was PostgreSQL')
    })
})
