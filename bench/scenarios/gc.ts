import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { createCollector } from '../../src/collection/collector.ts'
import { createSqliteStore } from '../../src/metadata/sqlite/store.ts'
import { createLog } from '../../src/platform/log.ts'
import { createFilesystem } from '../../src/storage/filesystem.ts'
import { must, parallel, run, send } from '../load.ts'
import { digestOf } from '../../test/support/client.ts'
import { cpuOf, type Row, row } from '../measure.ts'
import { type Product, startProduct } from '../products.ts'

const images = 2000
/** Where there is as good as nothing besides, and where there is much. */
const [few, many] = [10, 1_000_000]
const hour = 3_600_000
const databasePath = 'holdfast/holdfast.db'
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

/** What it takes to free half of 2,000 images: ours beside requests, the other's on the same volume with nobody served. */
export async function collection(): Promise<Row[]> {
  const filled = await fill()
  try {
    // It takes minutes of one processor, and what is counted is work and not time.
    const waiting = collectTheirs(filled)
    const ours = await collectOurs(filled, {})
    const [small, large] = [await collectBeside(filled, few), await collectBeside(filled, many)]
    const theirs = await waiting
    const { longestMs, refused } = await collectOurs(filled, { isProbed: true })
    const sides = ['holdfast', 'docker-registry'] as const
    const work = `collect ${images / 2} of ${images} images`
    const beside = (count: number) => `with ${count.toLocaleString('en')} more manifests`
    const alone = [beside(many), beside(few)] as const
    const wait = { unit: 'ms', target: { atMost: 50 }, sides }
    const none = { unit: 'requests', target: { atMost: 0 }, sides }
    return [
      row({ work, unit: 'CPU s', target: { atMost: 2 }, sides }, { holdfast: [ours.cpu], 'docker-registry': [theirs] }),
      row({ work: 'the longest wait of a pull meanwhile', ...wait }, { holdfast: [longestMs] }),
      row({ work: 'requests refused meanwhile', ...none }, { holdfast: [refused] }),
      row(
        { work: `${work}, the collector alone`, unit: 'CPU s', target: { ratio: 0.7 }, sides: alone },
        { [alone[0]]: [large], [alone[1]]: [small] },
      ),
    ]
  } finally {
    await rm(filled, { recursive: true, force: true })
  }
}

/** A volume with images, each with a config and a layer of its own; every other one has no tag. */
async function fill(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-gc-'))
  const product = await startProduct('holdfast', { folder, variables })
  await parallel(16, images, (index) => pushImage(product.url, index))
  await product.stop()
  change(folder, 'update manifest set to_measure = 0') // what they take unpacked: a work of its own
  return folder
}

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

/** `isProbed`: with requests meanwhile; what they cost would count as ours. */
async function collectOurs(
  filled: string,
  { isProbed = false }: { isProbed?: boolean },
): Promise<{ cpu: number; longestMs: number; refused: number }> {
  const folder = await copyOf(filled)
  const product = await startProduct('holdfast', { folder, variables })
  try {
    for (let isReady = false; !isReady;) isReady = (await ask(product, { kind: 'gc' })).state === 'done' // the volume is known
    const total = { cpu: 0, longestMs: 0, refused: 0 }
    // First the images go, then, an hour later, their blobs. Pulls are not looked at while we make everything older.
    for (const kind of ['untagged', 'blobs'] as const) {
      age(folder)
      const probe = isProbed ? await startProbe(product) : undefined
      total.cpu += await cpuOf(product, async () => {
        for (const end = performance.now() + 120_000; !(await isCollected(product, kind)); await setTimeout(3000))
          if (performance.now() > end) throw new Error(`${kind} are not collected`)
      })
      const { longestMs, refused } = (await probe?.stop()) ?? { longestMs: 0, refused: 0 }
      total.longestMs = Math.max(total.longestMs, longestMs)
      total.refused += refused
    }
    return total
  } finally {
    await product.stop()
    await rm(folder, { recursive: true })
  }
}

/** CPU seconds of the collector over a store that holds so many manifests more. */
async function collectBeside(filled: string, more: number): Promise<number> {
  const folder = await copyOf(filled)
  addManifests(folder, more)
  age(folder)
  const clock = { now: () => new Date() }
  const store = createSqliteStore({ folder: dirname(join(folder, databasePath)), clock })
  try {
    const configuration = {
      collection: { enabled: true, untagged: true, graceMs: 0, fusePercent: 100, keepPulledMs: 0 },
      trash: { keepMs: 0 },
    }
    const collector = createCollector({
      ...{ facts: store.collection, storage: createFilesystem(folder), configuration, clock },
      log: createLog('error', () => {}, clock),
      follow: true,
      isServing: false,
      breathe: setImmediate,
    })
    const before = process.cpuUsage()
    const { files } = await collector.run()
    const { user, system } = process.cpuUsage(before)
    if (files !== (images / 2) * 3) throw new Error(`${files} files were collected`)
    return (user + system) / 1e6
  } finally {
    await store.close()
    await rm(folder, { recursive: true })
  }
}

async function isCollected(product: Product, kind: 'untagged' | 'blobs'): Promise<boolean> {
  const { state } = await ask(product, { kind: 'gc' })
  const { doomed, garbage, untagged } = await ask(product, { kind: 'gc', dryRun: true })
  return state === 'done' && (kind === 'untagged' ? untagged : doomed.count + garbage.count) === 0
}

async function copyOf(filled: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-gc-'))
  await cp(filled, folder, { recursive: true, preserveTimestamps: true })
  return folder
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
function age(folder: string): void {
  for (const table of ['manifest', 'blob_link'])
    change(folder, `update ${table} set doubted_at = doubted_at - ${2 * hour} where doubted_at > 0`)
}

function change(folder: string, statement: string): void {
  const database = new DatabaseSync(join(folder, databasePath), { timeout: 10_000 })
  database.exec(statement)
  database.close()
}

/** Adds tagged manifests with a layer of their own, in repositories of 1,000. */
function addManifests(folder: string, count: number): void {
  const digest = (of: string) => `printf('sha256:${of}%062x', number)`
  change(
    folder,
    `create temp table counted as
      with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < ${count})
      select number, 1000 + number / 1000 as repository from numbers;
    insert into repository (id, name) select distinct repository, 'bench/more' || repository from counted;
    insert into manifest (repository_id, digest, media_type, pushed_at, content, is_referring, doubted_at)
      select repository, ${digest('aa')}, '${type}', 0, x'7b7d', 1, null from counted;
    insert into tag (repository_id, name, digest, moved_at) select repository, 't' || number, ${digest('aa')}, 0 from counted;
    insert into blob (digest, size, stored_at) select ${digest('bb')}, 1000, 0 from counted;
    insert into blob_link (repository_id, digest, doubted_at) select repository, ${digest('bb')}, null from counted;
    insert into reference (repository_id, digest, manifest_id)
      select repository, ${digest('bb')}, manifest.id from counted
      join manifest on repository_id = repository and manifest.digest = ${digest('aa')}`,
  )
}

/** Pulls and pushes all the time, and looks how long each pull waits; not at the first ones, which load what they need. */
async function startProbe({ url }: Product) {
  let isOver = false
  let [longestMs, refused] = [0, 0]
  async function once(index: number): Promise<void> {
    const sent = performance.now()
    const reply = await send('GET', `${url}/v2/bench/gc/manifests/t${(index * 2) % images}`)
    if (reply.status !== 200) refused++
    longestMs = Math.max(longestMs, performance.now() - sent)
    if (index % 10 === 0) await pushImage(url, images + index).catch(() => refused++)
    await setTimeout(20)
  }
  for (let index = 0; index < 50; index++) await once(index)
  longestMs = 0
  const going = (async () => {
    for (let index = 50; !isOver; index++) await once(index)
  })()
  return {
    async stop(): Promise<{ longestMs: number; refused: number }> {
      isOver = true
      await going
      return { longestMs, refused }
    },
  }
}

async function collectTheirs(filled: string): Promise<number> {
  const folder = await copyOf(filled)
  const file = `${folder}.yml`
  await writeFile(file, `{version: 0.1, log: {level: error}, storage: {filesystem: {rootdirectory: ${folder}}}}`)
  const script = `TIMEFORMAT='cpu %U %S'; time docker-registry garbage-collect -m ${file} > /dev/null`
  const output = await run('bash', ['-c', script])
  const [, user, system] = /cpu ([\d.]+) ([\d.]+)/.exec(output) ?? []
  for (const path of [folder, file]) await rm(path, { recursive: true })
  return Number(user) + Number(system)
}
