import assert from 'node:assert/strict'
import { appendFile, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { before, describe, it } from 'node:test'
import { call, digestOf } from '../support/client.ts'
import { type Inventory, inventoryOf, statusOf } from '../support/inventory.ts'
import { pushIndex, pushText } from '../support/push.ts'
import { check, makeVolume, serve } from './tools.ts'

// Shapes that crashes, old versions and garbage collectors of registry:2 left in volumes. The base is a healthy volume:
// `app` with the tags v1 and moving (which pointed to another image before), `multi` with an index.

let base: string
let healthy: Inventory
let child: string
before(async () => {
  base = await makeVolume()
  const { url, close } = await serve(base)
  await pushText(url, 'app', 'v1', 'v1')
  for (const text of ['one', 'two']) await pushText(url, 'app', 'moving', text)
  await pushIndex(url, 'multi', 'v1', 'multi')
  child = (await pushText(url, 'multi', undefined, 'multi for arm64')).digest
  healthy = await inventoryOf(url)
  await close()
})

const v1 = () => healthy.app!.v1!
const in2 = (data: string, path: string) => join(data, 'docker/registry/v2', path)
const app = (data: string, path: string) => in2(data, `repositories/app/${path}`)
const below = (digest: string) => digest.replace(':', '/')
const blob = (data: string, digest: string) => in2(data, `blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`)
const current = (data: string, tag: string) => app(data, `_manifests/tags/${tag}/current/link`)
const revision = (data: string, digest: string) => app(data, `_manifests/revisions/${below(digest)}/link`)
const layer = (data: string, digest: string) => app(data, `_layers/${below(digest)}/link`)

interface Shape {
  damage(data: string): Promise<unknown>
  /** What fsck says. */
  finding: RegExp
  /** Tags that are not served, by repository. */
  without?: [repository: string, tag: string][]
}

const mendable: Record<string, Shape> = {
  'an empty current/link': {
    damage: (data) => truncate(current(data, 'moving'), 0),
    finding: /tags\/moving\/current\/link: link of tag moving is empty \(point it to sha256/,
  },
  'a current/link of white space': {
    damage: (data) => writeFile(current(data, 'moving'), ' \n'),
    finding: /tags\/moving\/current\/link: link of tag moving holds no digest/,
  },
  'a short current/link': {
    damage: (data) => writeFile(current(data, 'moving'), 'sha256:abcdef'),
    finding: /link of tag moving holds no digest/,
  },
  'a current/link with a newline': {
    damage: (data) => writeFile(current(data, 'v1'), `${v1()}\n`),
    finding: /tags\/v1\/current\/link: link has white space around its digest/,
  },
  'an empty revision link': {
    damage: (data) => truncate(revision(data, v1()), 0),
    finding: /revisions\/sha256\/[0-9a-f]+\/link: link is empty/,
  },
  'an empty layer link': {
    damage: (data) => truncate(layer(data, digestOf('layer of v1')), 0),
    finding: /_layers\/sha256\/[0-9a-f]+\/link: link is empty/,
  },
  'a tagged manifest without a revision link': {
    damage: (data) => rm(revision(data, v1())),
    finding: /tag v1 points to a manifest without a link \(write the link\)/,
  },
  'a manifest that 2.1.0 linked as a layer': {
    async damage(data) {
      await mkdir(dirname(layer(data, v1())), { recursive: true })
      await rename(revision(data, v1()), layer(data, v1()))
    },
    finding: /tag v1 points to a manifest without a link/,
  },
  'a child of an index without a revision link': {
    damage: (data) => rm(in2(data, `repositories/multi/_manifests/revisions/${below(child)}/link`)),
    finding: /a manifest that sha256:[0-9a-f]+ lists has no link/,
  },
  'a tag whose history lacks where it points': {
    damage: (data) => rm(app(data, `_manifests/tags/v1/index/${below(v1())}/link`)),
    finding: /the history of tag v1 lacks where it points/,
  },
  'files left over from writes that were cut off': {
    async damage(data) {
      await writeFile(`${current(data, 'v1')}.0b4f6b5e.tmp`, 'sha')
      await writeFile(`${blob(data, digestOf('layer of v1'))}.0b4f6b5e.tmp`, 'lay')
    },
    finding: /data\.0b4f6b5e\.tmp: left over .*\n.*link\.0b4f6b5e\.tmp: left over/s,
  },
  'a layer link that leads nowhere': {
    async damage(data) {
      const path = layer(data, digestOf('never stored'))
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, digestOf('never stored'))
    },
    finding: /leads to a blob whose bytes are gone \(remove the link\)/,
  },
}

const lasting: Record<string, Shape> = {
  'tarsum digests of 2.0': {
    async damage(data) {
      const path = app(data, '_layers/tarsum/v1/sha256/abc/link')
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, 'tarsum.v1+sha256:abc')
    },
    finding: /_layers\/tarsum: a digest algorithm that is not served: tarsum/,
  },
  'a manifest whose bytes are cut off': {
    damage: (data) => truncate(blob(data, v1()), 100),
    finding: /manifest is damaged/,
    without: [['app', 'v1']],
  },
  'a manifest whose bytes are gone': {
    damage: (data) => rm(blob(data, v1())),
    finding: /manifest of app is missing.*\n.*tag v1 leads nowhere|manifest of app is missing/,
    without: [['app', 'v1']],
  },
}

const lines = (findings: Awaited<ReturnType<typeof check>>) =>
  findings.map(({ path, problem, mend }) => `${path}: ${problem} (${mend})`).join('\n')

function without(inventory: Inventory, tags: [string, string][] = []): Inventory {
  const copy = structuredClone(inventory)
  for (const [repository, tag] of tags) delete copy[repository]![tag]
  return copy
}

describe('a volume that Holdfast has never seen', { concurrency: 4 }, () => {
  for (const [what, { damage, finding, without: lacking }] of Object.entries({ ...mendable, ...lasting }))
    it(`is served with ${what}, and fsck finds it`, async () => {
      const data = await makeVolume(base)
      await rm(join(data, 'holdfast'), { recursive: true })
      await damage(data)
      assert.match(lines(await check(data)), finding)
      const { url, close } = await serve(data)
      assert.deepEqual(await inventoryOf(url), without(healthy, lacking))
      await close()
      const findings = await check(data, true)
      const isMendable = what in mendable
      assert.equal(
        findings.every(({ mended }) => mended),
        isMendable,
        lines(findings),
      )
      if (!isMendable) return
      assert.equal(lines(await check(data)), '')
      const mended = await serve(data)
      assert.deepEqual(await inventoryOf(mended.url), healthy)
      await mended.close()
    })

  it('has nothing wrong when it is healthy', async () => {
    const data = await makeVolume(base)
    assert.equal(lines(await check(data)), '')
    await rm(join(data, 'holdfast'), { recursive: true })
    assert.equal(lines(await check(data)), '')
  })

  it('answers 404 for a blob that a crash left empty', async () => {
    const data = await makeVolume(base)
    await rm(join(data, 'holdfast'), { recursive: true })
    const digest = digestOf('layer of v1')
    await truncate(blob(data, digest), 0)
    const { url, close } = await serve(data)
    assert.equal((await call(url, 'GET', `/v2/app/blobs/${digest}`)).status, 404)
    await close()
    assert.match(lines(await check(data, true)), /is empty \(move it to holdfast\/quarantine\)/)
  })

  it('serves content that registry:2 linked by its sha512 under both names', async () => {
    const data = await makeVolume(base)
    await rm(join(data, 'holdfast'), { recursive: true })
    const [name, target] = [digestOf('layer of v1', 'sha512'), digestOf('layer of v1')]
    const path = app(data, `_layers/${below(name)}/link`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, target)
    assert.equal(lines(await check(data)), '')
    const { url, close } = await serve(data)
    for (const digest of [name, target])
      assert.equal(String((await call(url, 'GET', `/v2/app/blobs/${digest}`)).body), 'layer of v1')
    await close()
    assert.equal(await readFile(path, 'utf8'), target)
  })

  it('serves signed schema 1 as it is stored', async () => {
    const data = await makeVolume(base)
    await rm(join(data, 'holdfast'), { recursive: true })
    const content = JSON.stringify({ schemaVersion: 1, name: 'app', tag: 'ancient', fsLayers: [], signatures: [] })
    const digest = digestOf(content)
    for (const [path, bytes] of [
      [blob(data, digest), content],
      [revision(data, digest), digest],
      [current(data, 'ancient'), digest],
      [app(data, `_manifests/tags/ancient/index/${below(digest)}/link`), digest],
    ] as const) {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, bytes)
    }
    const { url, close } = await serve(data)
    const reply = await call(url, 'GET', '/v2/app/manifests/ancient')
    assert.equal(reply.headers['content-type'], 'application/vnd.docker.distribution.manifest.v1+prettyjws')
    assert.equal(String(reply.body), content)
    await close()
    assert.equal(lines(await check(data)), '')
  })
})

describe('a volume that Holdfast knows', { concurrency: 4 }, () => {
  for (const [what, { damage, finding }] of Object.entries(mendable))
    it(`is served whole with ${what}, and fsck finds and mends it`, async () => {
      const data = await makeVolume(base)
      await damage(data)
      const { url, close } = await serve(data)
      assert.deepEqual(await inventoryOf(url), healthy)
      await close()
      assert.match(lines(await check(data)), finding)
      assert.ok((await check(data, true)).every(({ mended }) => mended))
      assert.equal(lines(await check(data)), '')
      const mended = await serve(data)
      assert.deepEqual(await inventoryOf(mended.url), healthy)
      await mended.close()
    })

  it('keeps a tag where it was when registry:2 moved it to a manifest that is not there', async () => {
    const data = await makeVolume(base)
    await writeFile(current(data, 'v1'), digestOf('nowhere'))
    const { url, logged, close } = await serve(data)
    assert.deepEqual(await inventoryOf(url), healthy)
    assert.match(logged.join('\n'), /volume\.unreadable .*tags\/v1\/current\/link.* lead to nothing whole/)
    await close()
    assert.match(lines(await check(data)), /tag v1 leads nowhere/)
  })

  it('serves no layer that has another size than its manifest says, until it is pushed again', async () => {
    const data = await makeVolume(base)
    await rm(join(data, 'holdfast'), { recursive: true })
    const damaged = digestOf('layer of v1')
    await appendFile(blob(data, damaged), 'x')
    for (const round of [1, 2]) {
      const { url, logged, close } = await serve(data)
      assert.equal((await call(url, 'GET', `/v2/app/blobs/${damaged}`)).status, 404, `round ${round}`)
      if (round === 1) assert.match(logged.join('\n'), /volume\.unreadable .*_layers.* lead to nothing whole/)
      else await pushText(url, 'app', 'v1', 'v1')
      if (round === 2) assert.deepEqual(await inventoryOf(url), healthy)
      await close()
      if (round === 1) assert.match(lines(await check(data)), /has 12 bytes, the database says 11/)
    }
    assert.deepEqual(await check(data), [])
  })

  it('has a damaged manifest mended from the database', async () => {
    const data = await makeVolume(base)
    await truncate(blob(data, v1()), 10)
    assert.match(lines(await check(data)), /manifest is damaged \(write it from the database\)/)
    await check(data, true)
    assert.equal(lines(await check(data)), '')
    const { url, close } = await serve(data)
    assert.equal(await statusOf(url, 'app', 'v1'), 200)
    await close()
  })
})
