import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Postgres, startPostgres, withoutPostgres } from './support/postgres.ts'
import { pushImage, startRegistry } from './support/registry.ts'

describe('a registry with its facts in PostgreSQL', { skip: withoutPostgres }, () => {
  let postgres: Postgres
  let data: string
  before(async () => {
    postgres = await startPostgres()
    data = await mkdtemp(join(tmpdir(), 'holdfast-postgres-data-'))
  })
  after(async () => {
    await postgres.dispose()
    await rm(data, { recursive: true, force: true })
  })

  it('serves an image byte for byte after a push and a restart', async () => {
    const env = { HOLDFAST_DATABASE_URL: await postgres.createDatabase() }
    const first = await startRegistry({ data, env })
    const { digest, manifest } = await pushImage(first.url, 'team/app', 'v1', [Buffer.from('a layer')])
    assert.equal(await first.stop(), 0)
    const second = await startRegistry({ data, env })
    const reply = await fetch(`${second.url}/v2/team/app/manifests/v1`)
    assert.equal(reply.headers.get('docker-content-digest'), digest)
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), manifest)
    assert.equal(await second.stop(), 0)
  })
})
