import { rm } from 'node:fs/promises'
import { parallel, randomFile, run, uploadUrl } from '../load.ts'
import { compare, cpuOf, type Row, row } from '../measure.ts'
import { type Product, productNames, startProduct, withProducts } from '../products.ts'

/** Sizes in MB of the layers of a usual runtime image: 350 MB in all. */
export const layerSizes = [150, 80, 60, 40, 15, 4, 0.8, 0.2]

/** Downloads: CPU seconds a GB. */
export async function pulls(): Promise<Row[]> {
  return withProducts(async (products) => {
    const big = await randomFile(300, 1)
    const layers = await Promise.all(layerSizes.map((size, index) => randomFile(size, 100 + index)))
    for (const { url } of products) for (const file of [big, ...layers]) await upload(url, 'bench/pull', file)
    const gigabytes = (files: { bytes: number }[]) => files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e9
    const unit = 'CPU s a GB'
    const target = { ratio: 1.3 }
    const one = await compare(
      products,
      { work: 'blob GET 300 MB, one client', unit, target, repetitions: 5 },
      async (product) => {
        return (await cpuOf(product, () => download(product.url, [big.digest]))) / gigabytes([big])
      },
    )
    const many = await compare(products, { work: '16 parallel pulls of 350 MB', unit, target }, async (product) => {
      const all = layers.map(({ digest }) => digest)
      return (await cpuOf(product, () => parallel(16, 16, () => download(product.url, all)))) / (16 * gigabytes(layers))
    })
    return [one, many]
  })
}

/** Uploads, each into an empty store: CPU seconds, and the highest memory while one big layer comes. */
export async function pushes(): Promise<Row[]> {
  const rows: Row[] = []
  const image = await Promise.all(layerSizes.map((size, index) => randomFile(size, 100 + index)))
  const eight = await Promise.all(Array.from({ length: 8 }, (_, index) => randomFile(100, 50 + index)))
  const huge = await randomFile(2100, 7)
  const unit = 'CPU s'
  const target = { ratio: 2 }
  const figures = async (repetitions: number, work: (product: Product) => Promise<unknown>) => {
    const raw: Record<string, number[]> = {}
    const peaks: Record<string, number[]> = {}
    for (let i = 0; i < repetitions; i++) {
      for (const name of productNames) {
        const product = await startProduct(name)
        await new Promise((resolve) => setTimeout(resolve, 1000)) // start-up is another row
        product.resetPeak()
        ;(raw[name] ??= []).push(await cpuOf(product, () => work(product)))
        ;(peaks[name] ??= []).push(product.memory().peak)
        await product.stop()
        await rm(product.folder, { recursive: true, force: true })
      }
    }
    return { raw, peaks }
  }
  const push350 = await figures(3, ({ url }) =>
    parallel(4, image.length, (index) => upload(url, 'bench/push', image[index]!)),
  )
  rows.push(row({ work: 'push of 350 MB in 8 layers, empty store', unit, target }, push350.raw))
  const push8 = await figures(3, ({ url }) =>
    parallel(8, 8, (index) => upload(url, `bench/push${index}`, eight[index]!)),
  )
  rows.push(row({ work: '8 parallel pushes of 100 MB', unit, target }, push8.raw))
  const pushHuge = await figures(3, ({ url }) => upload(url, 'bench/huge', huge))
  rows.push(row({ work: 'push of one layer of 2.1 GB', unit, target }, pushHuge.raw))
  rows.push(
    row({ work: 'peak memory while a layer of 2.1 GB comes', unit: 'MB', target: { atMost: 250 } }, pushHuge.peaks),
  )
  return rows
}

/** Highest memory with 200 clients at once. */
export async function crowds(): Promise<Row[]> {
  return withProducts(async (products) => {
    const files = await Promise.all(Array.from({ length: 8 }, (_, index) => randomFile(8.388608, 200 + index)))
    const peak = async (product: Product, work: () => Promise<void>) => {
      product.resetPeak()
      await work()
      return product.memory().peak
    }
    const options = { unit: 'MB', target: { atMost: 250 }, repetitions: 1 }
    const push = await compare(products, { work: 'peak memory, 200 parallel pushes of 8 MiB', ...options }, (product) =>
      peak(product, () => parallel(200, 200, (index) => upload(product.url, `crowd/r${index}`, files[index % 8]!))),
    )
    const pull = await compare(products, { work: 'peak memory, 200 parallel pulls of 8 MiB', ...options }, (product) =>
      peak(product, () =>
        parallel(200, 200, (index) => download(product.url, [files[index % 8]!.digest], `crowd/r${index}`)),
      ),
    )
    return [push, pull]
  })
}

/** As docker and crane do it: a streamed PATCH, then an empty PUT. */
// oxlint-disable-next-line max-params -- what and where
export async function upload(
  url: string,
  repository: string,
  file: { path: string; digest: string },
  cpus?: string,
): Promise<void> {
  const { open, close } = await uploadUrl(url, repository, file.digest)
  const curl = ['-sS', '-o', '/dev/null', '-f', '-H', 'Expect:', '-H', 'Content-Type: application/octet-stream']
  const output = await run(
    'curl',
    [...curl, '-H', 'Transfer-Encoding: chunked', '-X', 'PATCH', '-T', file.path, '-w', '%header{location}', open],
    cpus,
  )
  const next = output.trim() === '' ? close : new URL(output.trim(), url).href
  await run('curl', [...curl, '-X', 'PUT', `${next}${next.includes('?') ? '&' : '?'}digest=${file.digest}`], cpus)
}

async function download(url: string, digests: string[], repository = 'bench/pull'): Promise<void> {
  await run('curl', [
    '-sS',
    '-f',
    ...digests.flatMap((digest) => ['-o', '/dev/null', `${url}/v2/${repository}/blobs/${digest}`]),
  ])
}
