import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eventually } from '../support/app.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { startTogether } from '../support/processes.ts'
import { pushText, remove } from '../support/push.ts'

describe('two processes over PostgreSQL', { skip: withoutPostgres }, () => {
  it('are equal, and what one does for both goes on when it dies', async () => {
    const postgres = await startPostgres()
    const registry = await startTogether(2, { env: { HOLDFAST_DATABASE_URL: await postgres.createDatabase() } })
    try {
      const connections = await registry.connections()
      const statuses = (path: string) =>
        Promise.all(connections.map(async (one) => (await one.call('GET', path)).status))
      for (let turn = 0; turn < 5; turn++) {
        await pushText(registry.url, 'a/b', 'v1', `turn ${turn}`)
        assert.deepEqual(await statuses('/v2/a/b/manifests/v1'), [200, 200])
        await remove(registry.url, 'a/b', 'v1')
        assert.deepEqual(await statuses('/v2/a/b/manifests/v1'), [404, 404])
      }
      assert.equal(registry.errors().match(/duty\.begun/g)!.length, 1)
      process.kill(registry.pids()[0]!, 'SIGKILL')
      const [, other] = connections
      assert.equal((await other!.call('POST', '/v2/a/b/blobs/uploads/')).status, 202)
      // The lease is for half a minute: the next first process is of the same node, and need not wait for its end.
      await eventually(() => registry.errors().match(/duty\.begun/g)!.length === 2, 5000)
      for (const one of connections) one.close()
    } finally {
      await registry.dispose()
      await postgres.dispose()
    }
  })
})
