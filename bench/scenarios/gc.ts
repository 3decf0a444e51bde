import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { must, parallel, run, send } from '../load.ts'
import { digestOf } from '../../test/support/client.ts'
import { cpuOf, type Row, row } from '../measure.ts'
import { type Product, type ProductName, startProduct } from '../products.ts'

const images = 2000
const hour = 3_600_000
const password = 'correct horse battery'
const authorization = { Authorization: `Basic ${Buffer.from(`root:${password}`).toString('base64')}` }
const variables = {
  HOLDFAST_ACCESS: 'open',
  HOLDFAST_ADMIN_USER: 'root',
  HOLDFAST_ADMIN_PASSWORD: password,
  HOLDFAST_GC_UNTAGGED: 'true',
  HOLDFAST_GC_GRACE: '0s',
  HOLDFAST_GC_KEEPPULLED: '0s',
  HOLDFAST_GC_FUSE: '100',
  HOLDFAST_TRASH_KEEP: '0s',
}
const type = 'application/vnd.oci.image.manifest.v1+json'

/** What it takes to free half of 2,000 images: ours beside requests, the other's with nobody served. */
export async function collection(): Promise<Row[]> {
  const [ours, theirs] = [await collectOurs(0), await collectTheirs()]
  const large = await collectOurs(100_000)
  const sides = ['holdfast', 'docker-registry'] as const
  const alone = ['with 100,000 more manifests', 'with 2,000'] as const
  return [
    row(
      { work: `collect ${images / 2} of ${images} images`, unit: 'CPU s', target: { atMost: 2 }, sides },
      { holdfast: [ours.cpu], 'docker-registry': [theirs] },
    ),
    row(
      { work: 'the longest wait of a request meanwhile', unit: 'ms', target: { atMost: 50 }, sides },
      { holdfast: [ours.longestMs] },
    ),
    row(
      { work: 'requests refused meanwhile', unit: 'requests', target: { atMost: 0 }, sides },
      { holdfast: [ours.refused] },
    ),
    row(
      { work: `collect ${images / 2} images`, unit: 'CPU s', sides: alone },
      { [alone[0]]: [large.cpu], [alone[1]]: [ours.cpu] },
    ),
    row(
      {
        work: 'the longest wait of a request, with 100,000 manifests more',
        unit: 'ms',
        target: { atMost: 50 },
        sides,
      },
      { holdfast: [large.longestMs] },
    ),
  ]
}

async function fill(name: ProductName): Promise<{ folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-gc-'))
  const product = await startProduct(name, { folder, ...(name === 'holdfast' && { variables }) })
  await parallel(4, images, (index) => pushImage(product.url, index))
  await product.stop()
  return { folder }
}

/** An image with a config and a layer of its own; every other one has no tag. */
async function pushImage(url: string, index: number): Promise<void> {
  const parts = [JSON.stringify({ os: 'linux', index }), `layer ${index} ${'x'.repeat(2000)}`]
  const [config, layer] = await Promise.all(parts.map((part) => pushBlob(url, Buffer.from(part))))
  const document = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
    }),
  )
  const reference = index % 2 === 0 ? `t${index}` : digestOf(document)
  await must(201, 'PUT', `${url}/v2/bench/gc/manifests/${reference}`, document, { 'Content-Type': type })
}

async function pushBlob(url: string, content: Buffer): Promise<{ digest: string; size: number }> {
  const digest = digestOf(content)
  const begun = await must(202, 'POST', `${url}/v2/bench/gc/blobs/uploads/`)
  const place = new URL(String(begun.headers.location), url)
  place.searchParams.set('digest', digest)
  await must(201, 'PUT', place.href, content, { 'Content-Type': 'application/octet-stream' })
  return { digest, size: content.length }
}

async function collectOurs(more: number): Promise<{ cpu: number; longestMs: number; refused: number }> {
  const { folder } = await fill('holdfast')
  const path = join(folder, 'holdfast/holdfast.db')
  if (more > 0) addManifests(path, more)
  const follow = { HOLDFAST_STORAGE_FOLLOWTREE: String(more === 0) } // a million links are not what is measured
  const product = await startProduct('holdfast', { folder, variables: { ...variables, ...follow } })
  try {
    await setTimeout(more > 0 ? 15_000 : 4000) // until it has looked at the volume
    const probe = startProbe(product)
    await setTimeout(500)
    const cpu = await cpuOf(product, async () => {
      age(path)
      for (let isDone = false; !isDone; await setTimeout(isDone ? 0 : 3000)) {
        const { state } = await ask(product, { kind: 'gc' })
        const { doomed, garbage, untagged } = await ask(product, { kind: 'gc', dryRun: true })
        isDone = state === 'done' && doomed.count + garbage.count + untagged === 0
        if (probe.seconds() > 120) throw new Error('it is not collected')
      }
    })
    return { cpu, ...(await probe.stop()) }
  } finally {
    await product.stop()
    await rm(folder, { recursive: true })
  }
}

interface Answer {
  state: string
  untagged: number
  doomed: { count: number }
  garbage: { count: number }
}

async function ask({ url }: Product, body: object): Promise<Answer> {
  const headers = { ...authorization, 'Content-Type': 'application/json' }
  const reply = await send('POST', `${url}/api/v1/jobs`, Buffer.from(JSON.stringify(body)), headers)
  if (reply.status >= 300) throw new Error(`POST /jobs: ${reply.status} ${String(reply.body)}`)
  return JSON.parse(String(reply.body)) as Answer
}

/** Makes everything two hours older, as after a pause. */
function age(path: string): void {
  const database = new DatabaseSync(path, { timeout: 10_000 })
  for (const table of ['manifest', 'blob_link'])
    database.exec(`update ${table} set doubted_at = doubted_at - ${2 * hour} where doubted_at > 0`)
  database.close()
}

/** Adds manifests that nothing happens to. */
function addManifests(path: string, count: number): void {
  const database = new DatabaseSync(path)
  database.exec(`
    insert into repository (id, name) values (1000, 'bench/more');
    with recursive counted (number) as (select 1 union all select number + 1 from counted where number < ${count})
    insert into manifest (repository_id, digest, media_type, pushed_at, content, is_referring, doubted_at)
      select 1000, printf('sha256:%064x', number), '${type}', 0, x'7b7d', 1, null from counted;
    insert into tag (repository_id, name, digest, moved_at)
      select 1000, 't' || id, digest, 0 from manifest where repository_id = 1000`)
  database.close()
}

/** Pulls and pushes all the time, and looks how long each request waits. */
function startProbe({ url }: Product) {
  const begun = performance.now()
  let isOver = false
  let [longestMs, refused] = [0, 0]
  async function go(): Promise<void> {
    for (let index = 0; !isOver; index++) {
      const sent = performance.now()
      const reply = await send('GET', `${url}/v2/bench/gc/manifests/t${(index * 2) % images}`)
      if (reply.status !== 200) refused++
      longestMs = Math.max(longestMs, performance.now() - sent)
      if (index % 10 === 0) await pushImage(url, images + index).catch(() => refused++)
      await setTimeout(20)
    }
  }
  const going = go()
  return {
    seconds: () => (performance.now() - begun) / 1000,
    async stop(): Promise<{ longestMs: number; refused: number }> {
      isOver = true
      await going
      return { longestMs, refused }
    },
  }
}

async function collectTheirs(): Promise<number> {
  const { folder } = await fill('docker-registry')
  const script = `TIMEFORMAT='cpu %U %S'; time docker-registry garbage-collect -m ${folder}.yml > /dev/null`
  const output = await run('bash', ['-c', script])
  const [, user, system] = /cpu ([\d.]+) ([\d.]+)/.exec(output) ?? []
  await rm(folder, { recursive: true })
  return Number(user) + Number(system)
}
