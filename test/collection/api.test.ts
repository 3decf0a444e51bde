import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { useAccounts } from '../support/accounts.ts'
import { eventually } from '../support/app.ts'

const time = { ms: Date.now() }
const day = 86_400_000
const registry = await useAccounts(
  (configuration) => {
    configuration.collection.untagged = true
  },
  { clock: { now: () => new Date(time.ms) } },
)
const { must, api, push, root, addUser, user } = registry
const namesBelow = async (path: string) =>
  (await readdir(join(registry.folder, 'data/docker/registry/v2', path), { recursive: true })).filter((name) =>
    /data$|link$/.test(name),
  )
const digestOf = async (tag: string, repository = 'acme/app') =>
  (await registry.registry(`HEAD /${repository}/manifests/${tag}`, root)).headers.get('docker-content-digest')!
const collect = (more: object = {}) => must('POST /jobs', { body: { kind: 'gc', ...more } })

describe('the way back', () => {
  it('leads to an earlier digest of a tag, and lists every move', async () => {
    await push('acme/app', root)
    const first = await digestOf('v1')
    const then = new Date(time.ms).toISOString()
    time.ms += 10_000
    await push('acme/other', root)
    await registry.registry('DELETE /acme/app/manifests/v1', root)
    assert.deepEqual((await must('GET /repos/acme/app/-/tags')).items, [])
    assert.deepEqual((await must(`GET /repos/acme/app/-/tags?asOf=${then}`)).items, [{ name: 'v1', digest: first }])
    assert.deepEqual(await must('PUT /repos/acme/app/-/tags/v1', { body: { digest: first } }), {
      name: 'v1',
      digest: first,
    })
    assert.equal(await digestOf('v1'), first)
    const { items } = await must('GET /repos/acme/app/-/history?tag=v1')
    assert.deepEqual(
      items.map(({ why, by, digest }: Record<string, string>) => [why, by, digest]),
      [
        ['restored', 'root', first],
        ['deleted', 'root', null],
        ['pushed', 'root', first],
      ],
    )
    time.ms += 10_000
    await must('PUT /repos/acme/app/-/tags/v9', { body: { digest: first } })
    const journal = async (query = '') => must(`GET /repos/acme/app/-/history?limit=2${query}`)
    const page = await journal()
    assert.deepEqual(
      page.items.map(({ tag, why }: Record<string, string>) => [tag, why]),
      [
        ['v9', 'restored'],
        ['v1', 'restored'],
      ],
    )
    assert.deepEqual(
      (await journal(`&cursor=${page.next}`)).items,
      items.slice(1).map((move: object) => ({ tag: 'v1', ...move })),
    )
    assert.equal((await api('GET /repos/acme/app/-/history?cursor=WyJ4Il0')).status, 400)
    await registry.registry('DELETE /acme/app/manifests/v9', root)
  })

  it('leads out of the trash, with the tags that are free', async () => {
    const digest = await digestOf('v1')
    await must('PUT /repos/acme/app/-/tags/v2', { body: { digest } })
    assert.deepEqual(await must('DELETE /repos/acme/app/-/images/v2'), { digest, tags: ['v1', 'v2'] })
    const { items } = await must('GET /repos/acme/app/-/trash')
    assert.equal(items[0].digest, digest)
    assert.equal(Date.parse(items[0].endsAt) - Date.parse(items[0].at), 7 * day)
    const path = `POST /repos/acme/app/-/images/${encodeURIComponent(`${digest}:restore`)}`
    assert.deepEqual(await must(path), { digest, tags: ['v1', 'v2'] })
    assert.equal((await api(path)).status, 404)
    assert.equal((await api('DELETE /repos/acme/app/-/images/none')).status, 404)
    assert.equal((await api('PUT /repos/acme/app/-/tags/v1', { body: { digest: 'sha256:0' } })).status, 422)
  })

  it('is open to who may push, and what is deleted to who may pull', async () => {
    await addUser('bob')
    const asBob = { as: user('bob') }
    for (const request of [
      'GET /repos/acme/app/-/trash',
      'GET /repos/acme/app/-/history?tag=v1',
      'DELETE /repos/acme/app/-/images/v1',
    ])
      assert.ok([403, 404].includes((await api(request, asBob)).status), request)
    assert.equal((await api('POST /jobs', { ...asBob, body: { kind: 'gc' } })).status, 403)
    assert.equal((await api('POST /jobs', { as: '', body: { kind: 'gc' } })).status, 401)
  })
})

describe('a collection', { timeout: 60_000 }, () => {
  it('is planned, done while the registry serves, and leaves disk, tree and database alike', async () => {
    await push('acme/gone', root)
    const kept = await digestOf('v1')
    await registry.registry('DELETE /acme/gone/manifests/v1', root)
    assert.equal((await collect({ dryRun: true })).untagged, 0)
    time.ms += 31 * day
    const plan = await collect({ dryRun: true })
    assert.deepEqual([plan.state, plan.untagged], ['planned', 1])
    const young = await collect({ dryRun: true, untagged: false })
    assert.deepEqual(young.kept, [])
    assert.deepEqual((await collect()).untagged, 1)
    const [kept1] = (await collect({ dryRun: true })).kept
    assert.deepEqual([kept1.what, kept1.count, Date.parse(kept1.until) - time.ms], ['images in the trash', 1, 7 * day])
    assert.match(kept1.why, /holdfast\.trash\.keep/)
    assert.deepEqual((await collect()).kept, [kept1])
    assert.equal((await must('GET /repos/acme/gone/-/trash')).items[0].why, 'untagged')
    time.ms += 8 * day
    assert.equal((await collect()).manifests, 1)
    time.ms += 2 * day
    const done = await collect()
    assert.deepEqual([done.state, done.waiting], ['done', []])
    assert.ok(done.blobs > 0 && done.bytes > 0)
    // Their files go some seconds later, without being asked for again.
    time.ms += 20_000
    const before = (await namesBelow('blobs')).length
    await eventually(async () => (await namesBelow('blobs')).length < before, 30_000)
    assert.equal((await must(`GET /jobs/${(await collect()).id}`)).state, 'done')
    await eventually(async () => (await namesBelow('repositories/acme/gone/_layers')).length === 0)
    assert.equal(await digestOf('v1'), kept)
    const needed = new Set<string>()
    for (const name of ['app', 'other']) {
      const reply = await registry.registry(`GET /acme/${name}/manifests/v1`, root)
      const { config, layers } = (await reply.json()) as { config: { digest: string }; layers: { digest: string }[] }
      for (const { digest } of [config, ...layers, { digest: await digestOf('v1', `acme/${name}`) }]) needed.add(digest)
    }
    const files = await namesBelow('blobs')
    assert.deepEqual(files.map((path) => `sha256:${path.split('/').at(-2)}`).toSorted(), [...needed].toSorted())
  })
})
