import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { statfsSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { createClient } from '../durability/client.ts'
import { type Image, inspect, makeImage, noFindings, pushWhole } from '../durability/images.ts'
import { makeTmpfs, unable } from '../durability/mounts.ts'
import { startRegistry } from '../support/registry.ts'

const megabyte = 1 << 20
const hour = 3_600_000

it(
  'refuses uploads while the disk is nearly full, and makes room by the oldest trash',
  { skip: unable('mount') },
  async () => {
    const disk = await makeTmpfs(64)
    const env = { HOLDFAST_STORAGE_RESERVE: '24MiB' }
    const server = await startRegistry({ data: join(disk.path, 'data'), env })
    const client = createClient(server.url)
    const path = join(disk.path, 'data/holdfast/holdfast.db')
    const push = (name: string, megabytes: number) =>
      pushWhole(client, makeImage('team/app', name, randomBytes(megabytes * megabyte)))
    try {
      const kept = makeImage('team/app', 'kept', randomBytes(megabyte))
      assert.equal((await pushWhole(client, kept)).status, 201)
      const gone: Image[] = ['old', 'young'].map((name) => makeImage('team/app', name, randomBytes(8 * megabyte)))
      for (const image of gone) {
        assert.equal((await pushWhole(client, image)).status, 201)
        assert.equal((await client.request('DELETE', `/v2/team/app/manifests/${image.digest}`)).status, 202)
      }

      // More than there is room for is refused by its length.
      assert.equal((await push('huge', 30)).status, 507)
      // As after a while: what was pushed or deleted an hour ago may go, the oldest first.
      const ago = 2 * hour
      ask(path, `update blob_link set doubted_at = doubted_at - ${ago}`)
      ask(path, `update manifest set trashed_at = trashed_at - ${ago}`)
      writeFileSync(join(disk.path, 'filler'), Buffer.alloc(22 * megabyte))
      await setTimeout(1100)
      const refused = await push('more', 1)
      assert.equal(refused.status, 507)
      assert.match(refused.body.toString(), /"code":"UNAVAILABLE","message":"the registry is nearly out of disk space/)
      assert.ok(!refused.body.includes(disk.path))
      const found = noFindings()
      await inspect(client, kept, true, found)
      assert.deepEqual(found, noFindings())
      assert.equal((await client.request('DELETE', '/v2/team/app/manifests/kept')).status, 202) // the tag

      while ((await push('more', 1)).status === 507) await setTimeout(500)
      assert.match(server.output(), /storage\.low/)
      assert.match(server.output(), /trash\.shrunk/)
      const left = ask(path, 'select digest from manifest where trashed_at is not null')
      assert.deepEqual(
        left.map(({ digest }) => digest),
        [gone[1]!.digest],
      )

      // A disk that has room again takes uploads at once.
      await rm(join(disk.path, 'filler'))
      assert.equal((await push('later', 2)).status, 201)
      assert.match(server.output(), /storage\.recovered/)
      const told = () =>
        ask(path, `select body from event where body like '%"alert"%' order by sequence`).map(
          ({ body }) => (JSON.parse(String(body)) as { what: string }).what,
        )
      while (!told().includes('storage.recovered')) await setTimeout(100)
      assert.deepEqual(new Set(told()), new Set(['storage.low', 'trash.shrunk', 'storage.recovered']))
    } finally {
      client.close()
      await server.stop('SIGKILL')
      await disk.dispose()
    }
  },
)

it('makes room for an upload that is longer than what the reserve leaves', { skip: unable('mount') }, async () => {
  const disk = await makeTmpfs(64)
  const server = await startRegistry({ data: join(disk.path, 'data'), env: { HOLDFAST_STORAGE_RESERVE: '20MiB' } })
  const client = createClient(server.url)
  const path = join(disk.path, 'data/holdfast/holdfast.db')
  const push = (image: Image) => pushWhole(client, image)
  try {
    const gone = ['old', 'young'].map((name) => makeImage('team/app', name, randomBytes(8 * megabyte)))
    for (const image of gone) {
      assert.equal((await push(image)).status, 201)
      assert.equal((await client.request('DELETE', `/v2/team/app/manifests/${image.digest}`)).status, 202)
    }
    const ago = 2 * hour
    ask(path, `update blob_link set doubted_at = doubted_at - ${ago}`)
    ask(path, `update manifest set trashed_at = trashed_at - ${ago}`)
    const { bavail, bsize } = statfsSync(disk.path)
    writeFileSync(join(disk.path, 'filler'), Buffer.alloc(bavail * bsize - 25 * megabyte))
    await setTimeout(1100)
    const image = makeImage('team/app', 'more', randomBytes(7 * megabyte))
    assert.equal((await push(image)).status, 507)
    while ((await push(image)).status === 507) await setTimeout(500)
    assert.match(server.output(), /trash\.shrunk/)
    const left = ask(path, 'select digest from manifest where trashed_at is not null')
    assert.deepEqual(
      left.map(({ digest }) => digest),
      [gone[1]!.digest],
    )
  } finally {
    client.close()
    await server.stop('SIGKILL')
    await disk.dispose()
  }
})

function ask(path: string, text: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path, { timeout: 5000 })
  try {
    return database.prepare(text).all()
  } finally {
    database.close()
  }
}
