import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { eventually, useApp } from '../support/app.ts'
import { call } from '../support/client.ts'
import { holdfast } from '../support/holdfast.ts'
import { inventoryOf, pull, statusOf } from '../support/inventory.ts'
import { startOther } from '../support/other-registry.ts'
import { type Postgres, startPostgres, withoutPostgres } from '../support/postgres.ts'
import { need } from '../support/programs.ts'
import { mount, pushIndex, pushText, remove } from '../support/push.ts'
import { type RunningRegistry, sha256, startRegistry } from '../support/registry.ts'

const skip = withoutPostgres || need('docker-registry')

describe('many nodes on one PostgreSQL and one volume', { skip }, () => {
  let postgres: Postgres
  let folder: string
  before(async () => {
    postgres = await startPostgres()
    folder = await mkdtemp(join(tmpdir(), 'holdfast-nodes-'))
  })
  after(async () => {
    await postgres.dispose()
    await rm(folder, { recursive: true, force: true })
  })
  const data = (name: string) => join(folder, name, 'data')

  it('take over a volume of registry:2, serve alike, and give it back', async () => {
    const older = await startOther('docker-registry', data('circle'))
    await pushText(older.url, 'old/app', 'v1', 'old')
    await pushIndex(older.url, 'old/multi', 'v1', 'multi')
    const before = await inventoryOf(older.url)
    await older.stop()
    const told: string[] = []
    const hook = createServer(async (request, response) => {
      for (const { action, target } of JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString()).events)
        told.push(`${action} ${target.repository} ${target.tag ?? target.digest}`)
      response.end()
    })
    await once(hook.listen(0, '127.0.0.1'), 'listening')
    const databaseUrl = await postgres.createDatabase()
    const endpoint = {
      ...{ name: 'hook', url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`, headers: {} },
      ...{ timeoutMs: 2000, threshold: 3, backoffMs: 100, ignore: { actions: ['pull'], mediaTypes: [] } },
    }
    const start = () =>
      useApp(
        (configuration) => {
          configuration.databaseUrl = databaseUrl
          configuration.notifications.endpoints = [endpoint]
        },
        { folder: join(folder, 'circle') },
      )
    const nodes = await Promise.all([start(), start(), start()])
    const urls = nodes.map(({ port }) => `http://127.0.0.1:${port}`) as [string, string, string]
    const [a, b, c] = urls
    for (const url of urls) assert.deepEqual(await inventoryOf(url), before)
    assert.equal(nodes.filter((node) => node.logged().includes('duty.begun')).length, 1)

    const { digest } = await pushText(a, 'new/app', 'v1', 'new')
    assert.equal(await pull(b, 'new/app', 'v1'), digest)
    const moved = await pushText(b, 'new/app', 'v1', 'newer')
    assert.equal(await pull(a, 'new/app', 'v1'), moved.digest)
    await remove(c, 'new/app', digest)
    for (const url of urls) assert.equal(await statusOf(url, 'new/app', digest), 404)
    await mount(c, 'new/mounted', sha256('layer of newer'), 'new/app')
    const content = await pushByTurns(urls, 'new/turns', ['one', 'two', 'three', 'four'])
    assert.equal(String((await call(a, 'GET', `/v2/new/turns/blobs/${sha256(content)}`)).body), content)
    await remove(b, 'old/app', 'v1')

    await eventually(() => told.filter((line) => line === 'push new/app v1').length >= 2)
    await eventually(() => told.includes(`delete new/app ${digest}`))
    const inventory = await inventoryOf(a)
    const busy = nodes.find((node) => node.logged().includes('duty.begun'))!
    await busy.close()
    const others = nodes.filter((node) => node !== busy)
    await eventually(() => others.some((node) => node.logged().includes('duty.begun')), 20_000)
    const last = await pushText(`http://127.0.0.1:${others[0]!.port}`, 'new/last', 'v1', 'last')
    const link = join(data('circle'), 'docker/registry/v2/repositories/new/last/_manifests/tags/v1/current/link')
    await eventually(() => existsSync(link), 20_000)
    for (const node of others) await node.close()
    hook.close()
    hook.closeAllConnections()
    const again = await startOther('docker-registry', data('circle'))
    assert.deepEqual(await inventoryOf(again.url), { ...inventory, 'new/last': { v1: last.digest } })
    await again.stop()
  })

  it('follow no events into a volume that is gone', async () => {
    const env = { HOLDFAST_DATABASE_URL: await postgres.createDatabase() }
    const before = await startRegistry({ data: data('gone'), env })
    await pushText(before.url, 'app', 'v1', 'one')
    await before.stop()
    const after = await startRegistry({ data: data('elsewhere'), env })
    const content = 'into the void'
    const pushed = await call(after.url, 'POST', `/v2/app/blobs/uploads/?digest=${sha256(content)}`, { body: content })
    assert.equal(pushed.status, 503)
    assert.match(after.output(), /volume\.gone .*If it is not mounted, mount it/)
    await after.stop()
    const again = await startRegistry({ data: data('gone'), env })
    await pull(again.url, 'app', 'v1')
    await again.stop()
  })

  it('go by the order of commits, whatever their clocks say', async () => {
    const databaseUrl = await postgres.createDatabase()
    const start = (ahead: number) =>
      useApp((configuration) => (configuration.databaseUrl = databaseUrl), {
        folder: join(folder, 'skew'),
        clock: { now: () => new Date(Date.now() + ahead) },
      })
    const [fast, slow] = [await start(3000), await start(0)]
    await pushText(`http://127.0.0.1:${fast.port}`, 'app', 'latest', 'by the fast one')
    const last = await pushText(`http://127.0.0.1:${slow.port}`, 'app', 'latest', 'by the slow one')
    const link = join(data('skew'), 'docker/registry/v2/repositories/app/_manifests/tags/latest/current/link')
    await eventually(() => existsSync(link) && readFileSync(link, 'utf8') === last.digest)
    await slow.close()
    await fast.close()
    await setTimeout(10_500) // so that tree and database are compared, whichever clock says when
    const again = await startRegistry({ data: data('skew'), env: { HOLDFAST_DATABASE_URL: databaseUrl } })
    await eventually(() => again.output().includes('volume.reconciled'), 20_000)
    assert.equal(await pull(again.url, 'app', 'latest'), last.digest)
    await again.stop()
  })

  it('find what another registry did as soon as no node was on duty', async () => {
    const env = { HOLDFAST_DATABASE_URL: await postgres.createDatabase() }
    const before = await startRegistry({ data: data('between'), env })
    await pushText(before.url, 'app', 'v1', 'one')
    await before.stop()
    const other = await startOther('docker-registry', data('between'))
    const moved = await pushText(other.url, 'app', 'v1', 'moved')
    const added = await pushText(other.url, 'new', 'v1', 'added')
    await other.stop()
    await setTimeout(7000)
    const again = await startRegistry({ data: data('between'), env })
    await eventually(() => again.output().includes('volume.reconciled'), 20_000)
    assert.equal(await pull(again.url, 'app', 'v1'), moved.digest)
    assert.equal(await pull(again.url, 'new', 'v1'), added.digest)
    await again.stop()
  })

  it('go on with what a node was on duty for when it is killed', async () => {
    const env = { HOLDFAST_DATABASE_URL: await postgres.createDatabase() }
    const nodes = [
      await startRegistry({ data: data('killed'), env }),
      await startRegistry({ data: data('killed'), env }),
    ]
    const [first, second] = nodes as [RunningRegistry, RunningRegistry]
    assert.match(first.output(), /duty\.begun/)
    await pushText(first.url, 'app', 'v1', 'one')
    process.env.HOLDFAST_DATABASE_URL = env.HOLDFAST_DATABASE_URL
    const checked = await holdfast('fsck', '--data', data('killed'))
    delete process.env.HOLDFAST_DATABASE_URL
    assert.deepEqual([checked.code, /another Holdfast is using the database/.test(checked.output)], [2, true])
    await first.stop('SIGKILL')
    await pushText(second.url, 'app', 'v2', 'two')
    await eventually(() => second.output().includes('duty.begun'), 45_000)
    const tags = join(data('killed'), 'docker/registry/v2/repositories/app/_manifests/tags')
    for (const tag of ['v1', 'v2']) await eventually(() => existsSync(join(tags, tag, 'current/link')), 20_000)
    await second.stop()
  })
})

/** Uploads a blob, each chunk by another node; gives its content. */
async function pushByTurns(urls: string[], repository: string, chunks: string[]): Promise<string> {
  let { location } = (await call(urls[0]!, 'POST', `/v2/${repository}/blobs/uploads/`)).headers
  for (const [index, body] of chunks.entries()) {
    const reply = await call(urls[index % urls.length]!, 'PATCH', location!, { body })
    assert.equal(reply.status, 202, String(reply.body))
    location = reply.headers.location
  }
  const digest = sha256(chunks.join(''))
  const reply = await call(urls.at(-1)!, 'PUT', `${location}&digest=${digest}`)
  assert.equal(reply.status, 201, String(reply.body))
  return chunks.join('')
}
