import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { adminPassword, basic, passwordOf, useAccounts } from '../support/accounts.ts'
import { useApp } from '../support/app.ts'
import { holdfast } from '../support/holdfast.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { startRegistry } from '../support/registry.ts'

describe('the audit log', () => {
  it('tells who did what, who signed in and who was refused, and notices every change of it', async () => {
    const accounts = await useAccounts()
    const { must, addUser, user, status, folder } = accounts
    await addUser('ann')
    await must('PUT /orgs/acme', { body: {} })
    assert.equal(await status('GET /', user('ann')), 200)
    assert.equal(await status('POST /acme/app/blobs/uploads/', user('ann')), 403)
    assert.equal(await status('GET /', `Basic ${Buffer.from('ann:wrong').toString('base64')}`), 401)
    const { items } = await must('GET /audit')
    const told = items.map(({ action, actor, target }: Record<string, string>) => `${action} ${actor} ${target}`)
    for (const expected of [
      'user.created  root',
      'user.created root ann',
      'organization.created root acme',
      'sign-in ann password',
      'sign-in.failed ann password',
      'access.denied ann repository:acme/app:pull',
    ])
      assert.ok(told.includes(expected), `${expected}: ${told.join('; ')}`)
    assert.ok(!JSON.stringify(items).includes(passwordOf('ann')))
    const anns = await must('GET /audit?actor=ann&limit=1')
    assert.equal(anns.items.length, 1)
    assert.equal((await must(`GET /audit?actor=ann&limit=9&cursor=${anns.next}`)).items.length, 2)
    const lines = (await accounts.api('GET /audit', { headers: { Accept: 'application/x-ndjson' } })).body
      .trimEnd()
      .split('\n')
    assert.equal(JSON.parse(lines[0]).sequence, 1)
    assert.deepEqual((await must('GET /audit/verify')).isWhole, true)

    const database = new DatabaseSync(join(folder, 'data/holdfast/holdfast.db'), { timeout: 5000 })
    const broken = async (statement: string, undo: string) => {
      database.exec(statement)
      const { isWhole } = await must('GET /audit/verify')
      database.exec(undo)
      return !isWhole
    }
    assert.ok(
      await broken(
        "update audit set body = body || ' ' where sequence = 2",
        'update audit set body = substr(body, 1, length(body) - 1) where sequence = 2',
      ),
    )
    assert.ok(
      await broken(
        'update audit set at = at + 1 where sequence = 3',
        'update audit set at = at - 1 where sequence = 3',
      ),
    )
    database.exec('create table aside as select * from audit where sequence <= 2')
    assert.ok(
      await broken('delete from audit where sequence = 2', 'insert into audit select * from aside where sequence = 2'),
    )
    assert.ok(await broken('delete from audit where sequence <= 2', 'insert into audit select * from aside'))
    database.close()
    assert.equal((await must('GET /audit/verify')).isWhole, true)
  })
})

describe('accounts', () => {
  it('outlive a start, and a database that is made anew', async () => {
    const first = await useAccounts()
    await first.addUser('ann')
    await first.push('ann/app', first.user('ann'))
    await first.close(0)
    const { code, output } = await holdfast('reindex', '--data', join(first.folder, 'data'))
    assert.equal(code, 0, output)
    const again = await useApp(() => {}, { folder: first.folder })
    const status = async (as: string) =>
      (
        await fetch(
          `http://127.0.0.1:${again.port}/v2/ann/app/manifests/v1`,
          as === '' ? {} : { headers: { Authorization: as } },
        )
      ).status
    assert.deepEqual([await status(''), await status(first.user('ann'))], [401, 200])
    await again.close(0)
    await writeFile(join(first.folder, 'data/holdfast/holdfast.db'), 'damaged')
    const lost = await holdfast('reindex', '--data', join(first.folder, 'data'))
    assert.match(lost.output, /reindex\.accounts-lost .*holdfast\.access: closed/)
  })

  it('are the same in every process of a machine, as soon as they are changed', async () => {
    const registry = await startRegistry({
      env: { HOLDFAST_PROCESSES: '2', HOLDFAST_ADMIN_USER: 'root', HOLDFAST_ADMIN_PASSWORD: adminPassword },
    })
    const ask = async (method: string, path: string, as: string, body?: object) => {
      // A connection of its own each time, so that both processes are asked.
      const headers = { Authorization: as, Connection: 'close', 'Content-Type': 'application/json' }
      return (await fetch(registry.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })).status
    }
    const root = basic('root', adminPassword)
    for (let i = 0; i < 10; i++) {
      const [name, path] = [`user${i}`, `/api/v1/users/user${i}`]
      assert.equal(await ask('PUT', path, root, { password: passwordOf(name) }), 201)
      const statuses = () =>
        Promise.all(Array.from({ length: 4 }, () => ask('GET', '/v2/', basic(name, passwordOf(name)))))
      assert.deepEqual(await statuses(), [200, 200, 200, 200])
      assert.equal(await ask('PUT', path, root, { isDisabled: true }), 200)
      assert.deepEqual(await statuses(), [401, 401, 401, 401])
    }
    await registry.dispose()
  })

  it('on PostgreSQL are seen by every node', { skip: withoutPostgres }, async (t) => {
    const postgres = await startPostgres()
    t.after(() => postgres.dispose())
    const url = await postgres.createDatabase()
    const one = await useAccounts((configuration) => (configuration.databaseUrl = url))
    const two = await useAccounts((configuration) => (configuration.databaseUrl = url))
    await one.addUser('ann')
    await one.must('PUT /orgs/acme', { body: {} })
    await one.must('PUT /orgs/acme/members/ann', { body: { role: 'owner' } })
    await new Promise((resolve) => setTimeout(resolve, 1100)) // what a node remembers may be a second old
    assert.equal(await two.status('POST /acme/app/blobs/uploads/', one.user('ann')), 202)
    const results = await Promise.all(
      [one, two].flatMap((node) =>
        Array.from({ length: 5 }, (_, i) => node.api(`PUT /orgs/acme/teams/t${i}`, { body: { description: 'x' } })),
      ),
    )
    assert.deepEqual(new Set(results.map(({ status }) => status)), new Set([200, 201]))
    await two.must('PUT /users/ann', { body: { isDisabled: true } })
    await new Promise((resolve) => setTimeout(resolve, 1100))
    assert.equal(await one.status('GET /', one.user('ann')), 401)
    assert.equal((await two.must('GET /audit/verify')).isWhole, true)
    await one.close(0)
    await two.close(0)
  })
})
