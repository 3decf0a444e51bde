import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pullImage, pushAgain, pushImage, usualImage } from '../image.ts'
import { imageType, must, parallel, putManifest, randomFile, seedManifest, sha256 } from '../load.ts'
import { compareAll, medianMs, type Row } from '../measure.ts'
import { type Product, type ProductName, productNames, startProduct, stayOnClientCpu } from '../products.ts'
import { type ObjectServer, startObjectServer } from '../servers.ts'
import { upload } from './blobs.ts'
import { get } from './manifests.ts'

const sides: [{ name: ProductName }, { name: ProductName }] = [{ name: productNames[0] }, { name: productNames[1] }]
const quicker = { ratio: 1 }
const listed = 10_000
const catalogued = 1000
const tagged = 500
const takenOver = 1000

// Both on the same S3 server, which runs beside the load: what each needs itself, and how often it asks the store.
export const objectPushes = () => withStore(pushes)
export const objectPulls = () => withStore(work)
export const objectLists = () => withStore(lists)

async function withStore(measureAll: (store: ObjectServer) => Promise<Row[]>): Promise<Row[]> {
  stayOnClientCpu()
  const store = await startObjectServer()
  return measureAll(store).finally(store.stop)
}

/** Each into an empty bucket. */
async function pushes(store: ObjectServer): Promise<Row[]> {
  const image = await usualImage()
  const eight = await Promise.all(Array.from({ length: 8 }, (_, index) => randomFile(100, 50 + index)))
  const units = {
    'CPU s': { target: quicker },
    s: { target: quicker },
    'requests to the store': {},
    'CPU s of the store': {},
  }
  const pushed = (work: string, push: (url: string) => Promise<unknown>) =>
    compareAll(sides, { work, units }, ({ name }) =>
      withFresh(store, name, (product, bucket) => measure(store, product, bucket, () => push(product.url))),
    )
  return [
    ...(await pushed('push of 350 MB in 8 layers, empty bucket', (url) => pushImage(url, 'bench/push', image))),
    ...(await pushed('8 parallel pushes of 100 MB', (url) =>
      parallel(8, 8, (index) => upload(url, `bench/push${index}`, eight[index]!)),
    )),
  ]
}

const ofPull = { 'CPU s': { target: quicker }, s: { target: quicker }, 'requests to the store': {} }

/** On a bucket with an image. */
async function work(store: ObjectServer): Promise<Row[]> {
  const image = await usualImage()
  const running = await Promise.all(sides.map(({ name }) => fresh(store, name)))
  const both = [running[0]!, running[1]!] as const
  try {
    for (const { product } of both) await pushImage(product.url, 'bench/app', image)
    await setTimeout(2000)
    const pulled = (work: string) =>
      compareAll(both, { work, repetitions: 5, units: ofPull }, ({ product, bucket }) =>
        measure(store, product, bucket, () => pullImage(product.url, 'bench/app', image)),
      )
    const pulls = await pulled('pull of 350 MB through the registry')
    for (const one of both) await startAgain(store, one, true)
    pulls.push(...(await pulled('pull of 350 MB, sent to the store for blobs')))
    for (const one of both) await startAgain(store, one, false)
    const times = 20
    const again = await compareAll(
      both,
      {
        work: 're-push of 350 MB',
        units: { 'CPU ms': { target: quicker }, ms: { target: quicker }, 'requests to the store': {} },
      },
      async ({ product, bucket }) => {
        const all = await measure(store, product, bucket, () =>
          parallel(1, times, () => pushAgain(product.url, 'bench/app', image)),
        )
        const [cpu, seconds, requests] = [all['CPU s']!, all.s!, all['requests to the store']!]
        return { 'CPU ms': (cpu / times) * 1e3, ms: (seconds / times) * 1e3, 'requests to the store': requests / times }
      },
    )
    const manifests = await compareAll(
      both,
      { work: 'manifest GET by tag', units: { 'µs of CPU a request': { target: quicker } } },
      async ({ product }) => {
        const before = product.cpu()
        const requests = await get(`${product.url}/v2/bench/app/manifests/v1`, [], 3)
        return { 'µs of CPU a request': ((product.cpu() - before) / requests) * 1e6 }
      },
    )
    return [...pulls, ...again, ...manifests, ...(await tagPushes(store, both))]
  } finally {
    for (const { end } of both) await end()
  }
}

/** Until the bucket has all links: registry:2 writes them before it answers, we after. */
async function tagPushes(store: ObjectServer, both: readonly [Fresh, Fresh]): Promise<Row[]> {
  const units = {
    'a second': { target: quicker, moreIsBetter: true },
    'a second, with the tree': { moreIsBetter: true },
    'CPU ms': { target: quicker },
    'requests to the store': {},
  }
  const options = { work: `tag PUT, ${tagged} tags, 4 clients`, units, repetitions: 1 }
  return compareAll(both, options, async ({ product, bucket }) => {
    const manifest = await seedManifest(product.url, 'bench/tags')
    await setTimeout(1000)
    const [begun, cpu, requests] = [performance.now(), product.cpu(), await store.requests(bucket)]
    await parallel(4, tagged, (index) => putManifest(product.url, 'bench/tags', tagName(index), manifest))
    const answered = performance.now() - begun
    const links = Array.from({ length: 8 }, (_, index) => join(store.folder, bucket, currentLink(tagged - 1 - index)))
    while (!links.every((link) => existsSync(link))) await setTimeout(20)
    return {
      'a second': tagged / (answered / 1000),
      'a second, with the tree': tagged / ((performance.now() - begun) / 1000),
      'CPU ms': ((product.cpu() - cpu) / tagged) * 1000,
      'requests to the store': ((await store.requests(bucket)) - requests) / tagged,
    }
  })
}

/** docker-registry's bucket is filled by files: to push 10,000 tags takes it minutes. */
async function lists(store: ObjectServer): Promise<Row[]> {
  const running = await Promise.all(
    sides.map(({ name }) => fresh(store, name, { HOLDFAST_STORAGE_FOLLOWTREE: 'false' })),
  )
  const both = [running[0]!, running[1]!] as const
  try {
    const manifests = await Promise.all(both.map(({ product }) => seedManifest(product.url, 'bench/tags')))
    const [ours, theirs] = both
    await parallel(4, listed, (index) => putManifest(ours.product.url, 'bench/tags', tagName(index), manifests[0]!))
    await putManifest(theirs.product.url, 'bench/tags', tagName(0), manifests[1]!)
    await fillTags(join(store.folder, theirs.bucket), listed, sha256(manifests[1]!))
    await parallel(4, catalogued, (index) => putIndex(ours.product.url, `cat/r${index}`))
    await fillRepositories(join(store.folder, theirs.bucket))
    const pages: [string, string][] = [
      [`tags/list of ${listed}, whole`, 'bench/tags/tags/list'],
      [`tags/list, page of 100 of ${listed}`, 'bench/tags/tags/list?n=100'],
      [`_catalog, page of 100 of ${catalogued}`, '_catalog?n=100'],
    ]
    const rows: Row[] = []
    for (const [name, path] of pages)
      rows.push(
        ...(await compareAll(
          both,
          {
            work: name,
            units: { ms: { target: { ratio: 10 } }, 'CPU ms': { target: { ratio: 10 } }, 'requests to the store': {} },
          },
          async ({ product, bucket }) => {
            const times = product.name === 'holdfast' ? 20 : 3
            const [cpu, requests] = [product.cpu(), await store.requests(bucket)]
            const ms = await medianMs(times, () => must(200, 'GET', `${product.url}/v2/${path}`))
            const runs = times + 2
            return {
              ms,
              'CPU ms': Math.max(((product.cpu() - cpu) / runs) * 1000, 10 / runs),
              'requests to the store': ((await store.requests(bucket)) - requests) / runs,
            }
          },
        )),
      )
    return rows
  } finally {
    for (const { end } of both) await end()
  }
}

/** A first start on a bucket of registry:2's, until the last tag is there. */
export async function objectTakeover(): Promise<Row[]> {
  return withStore(async (store) => {
    const { product: before, bucket, end } = await fresh(store, 'docker-registry')
    const manifest = await seedManifest(before.url, 'bench/tags')
    await putManifest(before.url, 'bench/tags', tagName(0), manifest)
    await fillTags(join(store.folder, bucket), takenOver, sha256(manifest))
    const requests = await store.requests(bucket)
    const product = await startProduct('holdfast', { driver: store.driver(bucket) })
    const begun = performance.now()
    const last = `${product.url}/v2/bench/tags/manifests/${tagName(takenOver - 1)}`
    await must(200, 'GET', last, undefined, { Accept: imageType })
    const s = (performance.now() - begun) / 1000
    const figures = { s, 'CPU s': product.cpu(), 'requests to the store': (await store.requests(bucket)) - requests }
    await product.stop()
    await end()
    const units = Object.fromEntries(Object.keys(figures).map((unit) => [unit, {}]))
    const options = { work: `taking over a bucket of ${takenOver} tags`, units, repetitions: 1 }
    return compareAll(sides, options, async ({ name }) => (name === 'holdfast' ? figures : {}))
  })
}

async function startAgain(store: ObjectServer, { name, product, bucket }: Fresh, redirect: boolean): Promise<void> {
  await product.stop()
  Object.assign(product, await startProduct(name, { folder: product.folder, driver: store.driver(bucket), redirect }))
  await setTimeout(1000)
}

interface Fresh {
  name: ProductName
  product: Product
  bucket: string
  end(): Promise<void>
}

let buckets = 0

/** A product on a bucket of its own, a second after its start, which is another row. */
async function fresh(store: ObjectServer, name: ProductName, variables: Record<string, string> = {}): Promise<Fresh> {
  const bucket = `${name}-${++buckets}`
  await store.makeBucket(bucket)
  const product = await startProduct(name, { driver: store.driver(bucket), variables })
  await setTimeout(1000)
  const end = async () => {
    await product.stop()
    for (const folder of [product.folder, join(store.folder, bucket)])
      await rm(folder, { recursive: true, force: true })
  }
  return { name, product, bucket, end }
}

async function withFresh<T>(
  store: ObjectServer,
  name: ProductName,
  work: (product: Product, bucket: string) => Promise<T>,
): Promise<T> {
  const { product, bucket, end } = await fresh(store, name)
  return work(product, bucket).finally(end)
}

/** What the work took until it was answered, and what it cost until a second later: the tree follows. */
async function measure(store: ObjectServer, product: Product, bucket: string, work: () => Promise<unknown>) {
  const [cpu, storeCpu, requests] = [product.cpu(), store.cpu(), await store.requests(bucket)]
  const begun = performance.now()
  await work()
  const s = (performance.now() - begun) / 1000
  await setTimeout(1000)
  return {
    'CPU s': product.cpu() - cpu,
    s,
    'requests to the store': (await store.requests(bucket)) - requests,
    'CPU s of the store': store.cpu() - storeCpu,
  } as Record<string, number>
}

const tagName = (index: number) => `t${String(index).padStart(5, '0')}`
const tagFolder = (index: number) => `docker/registry/v2/repositories/bench/tags/_manifests/tags/${tagName(index)}`
const currentLink = (index: number) => `${tagFolder(index)}/current/link`

/** Links of tags as registry:2 writes them. */
async function fillTags(bucket: string, count: number, digest: string): Promise<void> {
  await parallel(16, count, async (index) => {
    for (const link of ['current', `index/sha256/${digest.slice(7)}`]) {
      const folder = join(bucket, tagFolder(index), link)
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'link'), digest)
    }
  })
}

/** An index of nothing: a repository of its own by one request. */
async function putIndex(url: string, repository: string): Promise<void> {
  const type = 'application/vnd.oci.image.index.v1+json'
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] }))
  await must(201, 'PUT', `${url}/v2/${repository}/manifests/v1`, index, { 'Content-Type': type })
}

/** What makes a repository one for registry:2: a link of a layer and one of a manifest. */
async function fillRepositories(bucket: string): Promise<void> {
  await parallel(16, catalogued, async (index) => {
    for (const links of ['_layers', '_manifests/revisions']) {
      const repository = join(bucket, `docker/registry/v2/repositories/cat/r${index}`)
      const folder = join(repository, links, 'sha256', '0'.repeat(64))
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'link'), `sha256:${'0'.repeat(64)}`)
    }
  })
}
