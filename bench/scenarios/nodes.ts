import { rm } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { runNginx } from '../../test/support/nginx.ts'
import { type Image, pullImage, pushImage, usualImage } from '../image.ts'
import { parallel, pushBlob, putManifest, seedManifest } from '../load.ts'
import { compareAll, type Row } from '../measure.ts'
import { type Product, type Side, startProduct, stayOnClientCpu } from '../products.ts'
import { type Database, type ObjectServer, startDatabase, startObjectServer } from '../servers.ts'
import { get } from './manifests.ts'

const tagged = 300

/** One or many nodes that are one registry. */
interface Cluster extends Side {
  /** CPU seconds of the database, where it is a program of its own. */
  databaseCpu(): number
  end(): Promise<void>
}

type Sides = readonly [Cluster, Cluster]

// Nodes share processor 1, all else is on processor 0.

/** One node on PostgreSQL and one on SQLite. */
export async function databases(): Promise<Row[]> {
  stayOnClientCpu()
  const database = await startDatabase()
  return compareDatabases(database, await images()).finally(database.dispose)
}

/** Three nodes and one, each with a bucket, behind nginx. */
export async function nodes(): Promise<Row[]> {
  stayOnClientCpu()
  const [database, store] = [await startDatabase(), await startObjectServer()]
  return compareClusters(database, store, await images())
    .finally(store.stop)
    .finally(database.dispose)
}

const images = () => Promise.all([0, 1, 2].map(usualImage))

async function compareDatabases(database: Database, images: Image[]): Promise<Row[]> {
  const url = await database.createDatabase()
  const onPostgres = await startProduct('holdfast', { port: 5313, variables: { HOLDFAST_DATABASE_URL: url } })
  const onSqlite = await startProduct('holdfast', { port: 5314 })
  const both = [
    { ...clusterOf([onPostgres], onPostgres.url, database), name: 'PostgreSQL' },
    { ...clusterOf([onSqlite], onSqlite.url), name: 'SQLite' },
  ] as const
  try {
    const rows = await sharedWork(both, images)
    return [...rows, ...(await growth(database, url, onPostgres))]
  } finally {
    for (const side of both) await side.end()
  }
}

async function compareClusters(database: Database, store: ObjectServer, images: Image[]): Promise<Row[]> {
  const both = [
    { ...(await startCluster([5315, 5316, 5317], database, store)), name: 'three nodes' },
    { ...(await startCluster([5318], database, store)), name: 'one node' },
  ] as const
  try {
    return [...(await sharedWork(both, images)), ...(await pulls(both, images))]
  } finally {
    for (const side of both) await side.end()
  }
}

async function startCluster(ports: number[], database: Database, store: ObjectServer): Promise<Cluster> {
  const bucket = `nodes-${ports.length}`
  await store.makeBucket(bucket)
  const variables = { HOLDFAST_DATABASE_URL: await database.createDatabase() }
  const products: Product[] = []
  for (const port of ports)
    products.push(await startProduct('holdfast', { port, variables, driver: store.driver(bucket) }))
  const nginx = await runNginx(ports)
  const cluster = clusterOf(products, nginx.url, database)
  return { ...cluster, end: () => cluster.end().finally(nginx.stop) }
}

function clusterOf(products: Product[], url: string, database?: Database): Cluster {
  return {
    name: '',
    url,
    cpu: () => products.reduce((sum, product) => sum + product.cpu(), 0),
    databaseCpu: database ? database.cpu : () => 0,
    async end() {
      for (const product of products) {
        await product.stop()
        await rm(product.folder, { recursive: true, force: true })
      }
    },
  }
}

/** What a node does most, on either side. */
async function sharedWork(both: Sides, images: Image[]): Promise<Row[]> {
  const manifests = new Map<Cluster, Buffer>()
  for (const side of both) {
    const manifest = await seedManifest(side.url, 'bench/app')
    await putManifest(side.url, 'bench/app', 'v1', manifest)
    manifests.set(side, manifest)
  }
  await setTimeout(2000)
  const units = { 'µs of CPU a request': {}, 'µs with the database': {}, 'a second': { moreIsBetter: true } }
  const asked = (work: string, path: string) =>
    compareAll(both, { work, units }, (side) => each(side, () => get(`${side.url}/v2/bench/app/${path}`, [], 3)))
  const put = (clients: number) =>
    compareAll(both, { work: `tag PUT, ${clients} clients`, units }, (side) =>
      each(side, async () => {
        await parallel(clients, tagged, (index) =>
          putManifest(side.url, 'bench/app', `t${index}`, manifests.get(side)!),
        )
        return tagged
      }),
    )
  return [
    ...(await asked('manifest GET by tag', 'manifests/v1')),
    ...(await put(4)),
    ...(await put(32)),
    ...(await asked(`tags/list, page of 100 of ${tagged}`, 'tags/list?n=100')),
    ...(await compareAll(both, { work: 'push of 350 MB', units: ofImage }, (side, repetition) =>
      once(side, () => pushImage(side.url, 'bench/push', images[repetition]!)),
    )),
  ]
}

const ofImage = { 'CPU s': {}, 'CPU s with the database': {}, s: {} }

function pulls(both: Sides, images: Image[]): Promise<Row[]> {
  const last = images.at(-1)! // the tag is its
  return compareAll(both, { work: 'pull of 350 MB', units: ofImage }, (side) =>
    once(side, () => pullImage(side.url, 'bench/push', last)),
  )
}

const grown = 60
const mediaType = 'application/vnd.oci.image.layer.v1.tar'

/** What a push of a tag leaves in the database, and in its journal. */
async function growth(database: Database, url: string, node: Product): Promise<Row[]> {
  const name = new URL(url).pathname.slice(1)
  const text = `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal, xact_commit::float8 as transactions,
    pg_database_size(datname)::float8 as bytes from pg_stat_database where datname = '${name}'`
  const look = async () => {
    await setTimeout(2000) // the statistics are a moment behind
    return (await database.execute<Record<'wal' | 'transactions' | 'bytes', number>>(text))[0]!
  }
  const repository = 'bench/grows'
  const before = await look()
  await parallel(4, grown, async (index) => {
    const blobs = Array.from({ length: 9 }, (_, layer) => Buffer.from(`layer ${layer} of ${index}`))
    const [config, ...layers] = await Promise.all(
      blobs.map(async (blob) => ({ mediaType, digest: await pushBlob(node.url, repository, blob), size: blob.length })),
    )
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers }))
    await putManifest(node.url, repository, `t${index}`, manifest)
  })
  const after = await look()
  const figures = {
    'bytes of journal': (after.wal - before.wal) / grown,
    'bytes of database': (after.bytes - before.bytes) / grown,
    'transactions, with what goes on beside': (after.transactions - before.transactions) / grown,
  }
  const sides: [{ name: string }, { name: string }] = [{ name: 'PostgreSQL' }, { name: 'SQLite' }]
  const units = Object.fromEntries(Object.keys(figures).map((unit) => [unit, {}]))
  const options = { work: 'push of an image of nine new blobs, with a tag', units, repetitions: 1 }
  return compareAll(sides, options, async (side) => (side.name === 'PostgreSQL' ? figures : {}))
}

/** What each of the requests cost that the work gives the number of. */
async function each(side: Cluster, work: () => Promise<number>): Promise<Record<string, number>> {
  const [cpu, database, begun] = [side.cpu(), side.databaseCpu(), performance.now()]
  const requests = await work()
  const seconds = (performance.now() - begun) / 1000
  const own = ((side.cpu() - cpu) / requests) * 1e6
  return {
    'µs of CPU a request': own,
    'µs with the database': own + ((side.databaseCpu() - database) / requests) * 1e6,
    'a second': requests / seconds,
  }
}

async function once(side: Cluster, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const [cpu, database, begun] = [side.cpu(), side.databaseCpu(), performance.now()]
  await work()
  const s = (performance.now() - begun) / 1000
  await setTimeout(1000) // the tree follows
  const own = side.cpu() - cpu
  return { 'CPU s': own, 'CPU s with the database': own + side.databaseCpu() - database, s }
}
