import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { adminPassword, basic } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'
import { call } from '../support/client.ts'
import { startPostgres, withoutPostgres } from '../support/postgres.ts'
import { pushImage, type RunningRegistry, startRegistry } from '../support/registry.ts'

const limit = 20

describe('what nodes on one PostgreSQL count', { skip: withoutPostgres }, () => {
  let postgres: Awaited<ReturnType<typeof startPostgres>>
  let [folder, file] = ['', '']
  let env: Record<string, string>
  const nodes: RunningRegistry[] = []
  before(async () => {
    postgres = await startPostgres()
    folder = await mkdtemp(join(tmpdir(), 'holdfast-counters-'))
    file = join(folder, 'config.yml')
    const holdfast = {
      access: 'public-read',
      database: { url: await postgres.createDatabase() },
      ratelimits: { pulls: { anonymous: limit }, failedlogins: { address: 30 } },
    }
    const http = { addr: '127.0.0.1:0' }
    await writeFile(
      file,
      JSON.stringify({
        version: '0.1',
        storage: { filesystem: { rootdirectory: join(folder, 'data') } },
        http,
        holdfast,
      }),
    )
    env = {
      HOLDFAST_ADMIN_USER: 'root',
      HOLDFAST_ADMIN_PASSWORD: adminPassword,
      HOLDFAST_HTTP_TRUSTEDPROXIES: '127.0.0.1',
    }
    // One of them is of several processes.
    for (const HOLDFAST_PROCESSES of ['2', '1'])
      nodes.push(await startRegistry({ file, data: join(folder, 'data'), env: { ...env, HOLDFAST_PROCESSES } }))
    await pushImage(nodes[0]!.url, 'app', 'v1', [Buffer.from('a layer')], basic('root', adminPassword))
  })
  after(async () => {
    for (const node of nodes) await node.stop()
    await postgres.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  const ask = (node: RunningRegistry, method: string, from: string) =>
    call(node.url, method, '/v2/app/manifests/v1', { headers: { Accept: '*/*', 'X-Forwarded-For': from } })
  const left = async (node: RunningRegistry, from: string) =>
    Number.parseInt(String((await ask(node, 'HEAD', from)).headers['ratelimit-remaining']))
  const attempt = (node: RunningRegistry, name: string, password: string, from: string) =>
    call(node.url, 'GET', '/api/v1/me', { headers: { Authorization: basic(name, password), 'X-Forwarded-For': from } })
  /** How many of so many pulls at once are let through. */
  const pull = async (node: RunningRegistry, from: string, times: number) => {
    const replies = await Promise.all(Array.from({ length: times }, () => ask(node, 'GET', from)))
    return replies.filter(({ status }) => status === 200).length
  }

  it('is one limit of pulls for all of them, a second later', async () => {
    const [one, two] = nodes as [RunningRegistry, RunningRegistry]
    const from = '192.0.2.1'
    assert.equal(await pull(one, from, 8), 8)
    await eventually(async () => (await left(two, from)) === 12)
    assert.equal(await pull(two, from, 6), 6)
    await eventually(async () => (await left(one, from)) === 6)
    assert.equal(await pull(one, from, 9), 6)
    await eventually(async () => (await left(two, from)) === 0)
    const refused = await ask(two, 'GET', from)
    assert.equal(refused.status, 429)
    assert.ok(Number(refused.headers['retry-after']) > 21_500)
    assert.equal((await ask(two, 'GET', '192.0.2.2')).status, 200, 'others go on')
  })

  it('is exceeded by no more than what passes in that second', async () => {
    const from = '192.0.2.3'
    const passed = await Promise.all(nodes.map((node) => pull(node, from, limit + 5)))
    assert.ok(passed.every((count) => count <= limit))
    for (const node of nodes) await eventually(async () => (await left(node, from)) === 0)
    assert.deepEqual(await Promise.all(nodes.map((node) => pull(node, from, 3))), [0, 0])
  })

  it('are failed sign-ins, at once', async () => {
    const statuses: number[] = []
    for (let i = 0; i < 7; i++) statuses.push((await attempt(nodes[i % 2]!, 'root', `wrong ${i}`, '192.0.2.4')).status)
    // Five cost nothing; the sixth begins the first pause.
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429])
    for (const node of nodes) {
      const { status, headers } = await attempt(node, 'root', 'wrong again', '192.0.2.4')
      assert.deepEqual([status, headers['retry-after']], [429, '1'])
    }
    for (const node of nodes)
      assert.equal((await attempt(node, 'root', adminPassword, '192.0.2.5')).status, 200, 'others are not kept out')
    await eventually(async () => (await attempt(nodes[1]!, 'root', adminPassword, '192.0.2.4')).status === 200)
  })

  it('are wrong passwords by address, at once', async () => {
    const from = '192.0.2.6'
    const many = Array.from({ length: 30 }, (_, i) => attempt(nodes[i % 2]!, `user${i}`, 'wrong', from))
    for (const { status } of await Promise.all(many)) assert.equal(status, 401)
    for (const node of nodes)
      await eventually(async () => (await attempt(node, 'somebody', 'wrong', from)).status === 429)
    const { headers } = await attempt(nodes[0]!, 'somebody', 'wrong', from)
    assert.ok(Number(headers['retry-after']) > 500)
  })

  it('goes on where a node starts again, or the database', async () => {
    const from = '192.0.2.7'
    const [one, two] = nodes as [RunningRegistry, RunningRegistry]
    assert.equal(await pull(one, from, 5), 5)
    await eventually(async () => (await left(two, from)) === 15)
    await postgres.stop('immediate')
    await postgres.start()
    await eventually(async () => (await ask(one, 'GET', from)).status === 200)
    const now = await left(one, from)
    assert.ok(now <= 14)
    await eventually(async () => (await left(two, from)) === now)
    assert.equal(await one.stop(), 0)
    nodes[0] = await startRegistry({ file, data: join(folder, 'data'), env: { ...env, HOLDFAST_PROCESSES: '1' } })
    await eventually(async () => (await left(nodes[0]!, from)) === now)
  })
})
