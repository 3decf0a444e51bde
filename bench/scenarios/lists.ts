import { must, parallel, pushBlob, putManifest, seedManifest, sha256 } from '../load.ts'
import { compare, cpuOf, medianMs, type Row, row } from '../measure.ts'
import { type Product, startProduct, withProducts } from '../products.ts'

const tagCount = 10_000
const repositoryCount = 5000
const referrerCount = 500

/** Tags, catalog and referrers at size, and start-up on the store they leave. */
export async function lists(): Promise<Row[]> {
  return withProducts(async (products) => {
    const rows: Row[] = [await tagPushes(products)]
    await Promise.all(products.map(({ url }) => fillCatalog(url)))
    const referrers = `referrers/${await fillReferrers(products[0]!.url)}`
    const pages: [string, string, number][] = [
      ['tags/list, page of 100 of 10,000', 'bench/tags/tags/list?n=100', 1],
      ['tags/list, deep page of 100', 'bench/tags/tags/list?n=100&last=t05000', 1],
      ['_catalog of 5,000, deep page of 100', '_catalog?n=100&last=cat/g25/r02500', 1],
      ['referrers of 500', `bench/refs/${referrers}`, 2],
    ]
    for (const [work, path, atMost] of pages) {
      rows.push(
        await compare(products, { work, unit: 'ms', target: { atMost } }, async ({ name, url }) => {
          if (path.includes('referrers') && name !== 'holdfast') return null // docker-registry has no referrers API
          return medianMs(20, () => must(200, 'GET', `${url}/v2/${path}`))
        }),
      )
    }
    return [...rows, ...(await restarts(products))]
  })
}

async function tagPushes(products: Product[]): Promise<Row> {
  const raw: Record<string, number[]> = {}
  for (const product of products) {
    const manifest = await seedManifest(product.url, 'bench/tags')
    const begun = performance.now()
    const cpu = await cpuOf(product, () =>
      parallel(4, tagCount, (index) =>
        putManifest(product.url, 'bench/tags', `t${String(index).padStart(5, '0')}`, manifest),
      ),
    )
    raw[product.name] = [tagCount / ((performance.now() - begun) / 1000)]
    raw[`${product.name} CPU ms a push`] = [(cpu / tagCount) * 1000]
  }
  return row(
    { work: 'tag PUT up to 10,000 tags, 4 clients', unit: 'a second', target: { ratio: 6 }, moreIsBetter: true },
    raw,
  )
}

async function fillCatalog(url: string): Promise<void> {
  const manifest = await seedManifest(url, 'bench/seed')
  const { config, layers } = JSON.parse(manifest.toString()) as Record<'config', { digest: string }> & {
    layers: { digest: string }[]
  }
  await parallel(8, repositoryCount, async (index) => {
    const repository = `cat/g${String((index / 100) | 0).padStart(2, '0')}/r${String(index).padStart(5, '0')}`
    for (const { digest } of [config, ...layers]) {
      await must(201, 'POST', `${url}/v2/${repository}/blobs/uploads/?mount=${digest}&from=bench/seed`)
    }
    await putManifest(url, repository, 'v1', manifest)
  })
}

async function fillReferrers(url: string): Promise<string> {
  const subject = await seedManifest(url, 'bench/refs')
  await putManifest(url, 'bench/refs', 'v1', subject)
  const digest = sha256(subject)
  await pushBlob(url, 'bench/refs', Buffer.from('{}'))
  await parallel(8, referrerCount, async (index) => {
    const referrer = await seedManifest(url, 'bench/refs', {
      artifactType: 'application/vnd.test.sbom',
      subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: subject.length },
      annotations: { number: String(index) },
    })
    await putManifest(url, 'bench/refs', sha256(referrer), referrer)
  })
  return digest
}

async function restarts(products: Product[]): Promise<Row[]> {
  const start: Record<string, number[]> = {}
  for (const product of products) {
    await product.stop()
    for (let i = 0; i < 5; i++) {
      const again = await startProduct(product.name, { folder: product.folder })
      ;(start[product.name] ??= []).push(again.startMs)
      await again.stop()
    }
    Object.assign(product, { stop: async () => {} })
  }
  return [
    row(
      { work: 'start to first answer, 10,000 tags and 5,000 repositories', unit: 'ms', target: { atMost: 400 } },
      start,
    ),
  ]
}
