import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createPostgresStore } from '../src/metadata/postgres/store.ts'
import { eventually, useApp } from './support/app.ts'
import { call } from './support/client.ts'
import { holdfast } from './support/holdfast.ts'
import { inventoryOf } from './support/inventory.ts'
import { type Postgres, startPostgres, withoutPostgres } from './support/postgres.ts'
import { pushText } from './support/push.ts'
import { pushBlob, pushImage, sha256, startRegistry } from './support/registry.ts'

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
    assert.ok(!existsSync(join(data, 'holdfast/holdfast.db')), 'no other database is made')
  })

  it('answers 503 while the database is away and goes on by itself, and what it acknowledged is there', async () => {
    const databaseUrl = await postgres.createDatabase()
    const app = await useApp((configuration) => (configuration.databaseUrl = databaseUrl))
    const url = `http://127.0.0.1:${app.port}`
    const { digest } = await pushText(url, 'away/a', 'v1', 'before')
    const acknowledged: string[] = []
    const statuses = new Set<number>()
    let isOver = false
    const pushing = Array.from({ length: 6 }, async (_, client) => {
      for (let i = 0; !isOver; i++) {
        const content = `blob ${client} ${i}`
        const digest = sha256(content)
        const answer = await call(url, 'POST', `/v2/away/a/blobs/uploads/?digest=${digest}`, { body: content })
        statuses.add(answer.status)
        if (answer.status === 201) acknowledged.push(digest)
        else if (answer.status === 503) assert.equal(answer.headers['retry-after'], '1')
      }
    })
    await eventually(() => acknowledged.length > 20)
    await postgres.stop('immediate')
    await eventually(() => statuses.has(503))
    for (const [method, path] of [
      ['GET', '/v2/away/a/manifests/v1'],
      ['HEAD', `/v2/away/a/blobs/${digest}`],
      ['POST', '/v2/away/a/blobs/uploads/'],
      ['GET', '/v2/_catalog'],
    ] as const)
      assert.equal((await call(url, method, path)).status, 503, `${method} ${path}`)
    await postgres.start()
    const before = acknowledged.length
    await eventually(() => acknowledged.length > before + 20)
    isOver = true
    await Promise.all(pushing)
    assert.deepEqual([...statuses].toSorted(), [201, 503])
    for (const blob of acknowledged) assert.equal((await call(url, 'HEAD', `/v2/away/a/blobs/${blob}`)).status, 200)
    assert.equal((await call(url, 'GET', '/v2/away/a/manifests/v1')).headers['docker-content-digest'], digest)
    // The tree of links follows again as well.
    const layers = join(app.folder, 'data/docker/registry/v2/repositories/away/a/_layers/sha256')
    await eventually(() => existsSync(join(layers, acknowledged.at(-1)!.slice(7), 'link')), 30_000)
  })

  it('gives up a server that says nothing', async () => {
    const proxy = await startProxy(postgres.port)
    const databaseUrl = new URL(await postgres.createDatabase())
    databaseUrl.port = String(proxy.port)
    databaseUrl.search = '?query_timeout=1000'
    const app = await useApp((configuration) => (configuration.databaseUrl = databaseUrl.href))
    const url = `http://127.0.0.1:${app.port}`
    await pushBlob(url, 'silent/a', Buffer.from('before'))
    proxy.hold()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => call(url, 'POST', '/v2/silent/a/blobs/uploads/')),
    )
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 503),
    )
    proxy.release()
    await pushBlob(url, 'silent/a', Buffer.from('after'))
    proxy.hold()
    await app.close()
    proxy.close()
  })

  it('is moved there and back, backed up while it runs, and restored', async () => {
    const [first, other] = [join(data, 'first'), join(data, 'other')]
    const url = await postgres.createDatabase()
    const registry = await startRegistry({ data: first })
    await pushText(registry.url, 'team/app', 'v1', 'moved')
    await pushText(registry.url, 'team/app', 'v2', 'moved as well')
    const before = await inventoryOf(registry.url)
    const backup = join(data, 'backup.db')
    const expectDone = async (args: string[], says: RegExp) => {
      const { code, output } = await holdfast('db', ...args)
      assert.equal(code, 0, output)
      assert.match(output, says)
    }
    await expectDone(['backup', backup, '--data', first], /manifest +2\n[^]*every table compared/)
    assert.match((await holdfast('db', 'migrate', url, '--data', first)).output, /another Holdfast is using it; stop/)
    await registry.stop()
    await expectDone(['migrate', url, '--data', first], /Now set holdfast\.database\.url to it/)
    await rm(join(first, 'holdfast'), { recursive: true })
    const moved = await startRegistry({ data: first, env: { HOLDFAST_DATABASE_URL: url } })
    assert.deepEqual(await inventoryOf(moved.url), before)
    await pushText(moved.url, 'team/app', 'v3', 'after the move')
    const after = await inventoryOf(moved.url)
    await moved.stop()

    const configuration = join(data, 'config.yml')
    await writeFile(
      configuration,
      `version: 0.1\nstorage: {filesystem: {rootdirectory: ${first}}}\nholdfast: {database: {url: '${url}'}}\n`,
    )
    await expectDone(['migrate', 'sqlite', configuration], /Now remove holdfast\.database\.url/)
    const back = await startRegistry({ data: first })
    assert.deepEqual(await inventoryOf(back.url), after)
    await back.stop()

    await cp(join(first, 'docker'), join(other, 'docker'), { recursive: true })
    await expectDone(['restore', backup, '--data', other], /takes in what was pushed since/)
    const restored = await startRegistry({ data: other })
    assert.deepEqual(await inventoryOf(restored.url), after, 'what was pushed since is in the tree of links')
    await restored.stop()
    for (const args of [[], ['other'], ['backup'], ['migrate', 'mysql://x/y'], ['backup', 'a', 'b', 'c']])
      assert.match((await holdfast('db', ...args)).output, /^holdfast: .*(db|expected|too many).*/)
  })

  it('says in one line why it cannot start', async () => {
    const newer = await postgres.createDatabase()
    const foreign = await postgres.createDatabase()
    const latin = await postgres.createDatabase(`encoding 'LATIN1' locale 'C' template template0`)
    const nameOf = (url: string) => new URL(url).pathname.slice(1)
    await postgres.execute(
      'create table schema_version (version bigint); insert into schema_version values (99)',
      nameOf(newer),
    )
    await postgres.execute('create table repository (something text)', nameOf(foreign))
    await postgres.execute('create role guest login password $$guest$$')
    const readable = await postgres.createDatabase()
    await createPostgresStore({ url: readable, clock: { now: () => new Date() } }).then((store) => store.close())
    await postgres.execute('grant select on all tables in schema public to guest', nameOf(readable))
    const used = { ...process.env }
    try {
      for (const [url, reason] of [
        [postgres.url('postgres', 'postgres:wrong-secret'), /password authentication failed.*; expected postgres:/],
        [postgres.url('nowhere'), /database "nowhere" does not exist; make it with CREATE DATABASE/],
        [
          'postgres://postgres@127.0.0.1:1/holdfast',
          /127\.0\.0\.1:1\/holdfast: connect ECONNREFUSED.*a server that runs/,
        ],
        ['postgres://postgres@nowhere.invalid/holdfast', /nowhere\.invalid\/holdfast: .*ENOTFOUND|EAI_AGAIN/],
        [newer, /it has version 99, this Holdfast knows up to \d+; use a newer one/],
        [foreign, /relation "repository" already exists; expected a database of its own/],
        [latin, /encoding LATIN1; expected UTF8/],
        [postgres.url('postgres', 'guest:guest'), /permission denied for schema public; make its user the owner/],
        [
          postgres.url(nameOf(readable), 'guest:guest'),
          /may not write to the tables of Holdfast; expected the user that made them/,
        ],
        [`${postgres.url()}?sslmode=bogus`, /expected a URL such as postgres:.*sslmode=disable, prefer/],
        ['mysql://localhost/holdfast', /HOLDFAST_DATABASE_URL.*expected a URL such as postgres:/],
      ] as const) {
        process.env.HOLDFAST_DATABASE_URL = url
        const { code, output } = await holdfast('serve', '--addr', '127.0.0.1:0', '--data', join(data, 'unused'))
        assert.equal(code, 1, output)
        assert.match(output, reason)
        assert.doesNotMatch(output, /wrong-secret|guest:guest|\n {4}at /)
        assert.match(output, /holdfast\.database\.url/)
        if (!url.includes('bogus') && url.startsWith('postgres'))
          assert.equal(output.trim().split('\n').length, 1, output)
      }
      assert.deepEqual(await postgres.execute('select * from pg_tables where schemaname = $$public$$', 'postgres'), [])
      assert.equal((await postgres.execute('select version from schema_version', nameOf(newer))).length, 1)
    } finally {
      process.env = used
    }
  })
})

/** A way to a server that can be held up: then nothing goes through, and nobody is told. */
async function startProxy(port: number) {
  const sockets = new Set<Socket>()
  let isHeld = false
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => (sockets.delete(from), to.destroy()))
      from.on('data', (chunk) => to.write(chunk))
      if (isHeld) from.pause()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    hold(): void {
      isHeld = true
      for (const socket of sockets) socket.pause()
    },
    release(): void {
      isHeld = false
      for (const socket of sockets) socket.resume()
    },
    close(): void {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
