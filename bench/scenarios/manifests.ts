import { putManifest, run, seedManifest, sha256 } from '../load.ts'
import { compare, cpuOf, type Row } from '../measure.ts'
import { type Product, withProducts } from '../products.ts'

type Generate = (url: string) => Promise<number>

/** Manifest GET by tag and by digest and HEAD, 32 connections: CPU microseconds a request. */
export async function manifests(): Promise<Row[]> {
  return withProducts(async (products) => {
    let digest = ''
    for (const { url } of products) {
      const manifest = await seedManifest(url, 'bench/app')
      await putManifest(url, 'bench/app', 'v1', manifest)
      digest = sha256(manifest)
    }
    const cases: [string, string, Generate][] = [
      ['manifest GET by tag', 'v1', get],
      ['manifest GET by digest', digest, get],
      ['manifest HEAD by tag', 'v1', head],
    ]
    const rows: Row[] = []
    for (const [work, reference, generate] of cases) {
      const options = { work, unit: 'µs of CPU a request', target: { ratio: 25 }, repetitions: 5 }
      rows.push(await compare(products, options, (product) => microseconds(product, reference, generate)))
    }
    return rows
  })
}

async function microseconds(product: Product, reference: string, generate: Generate): Promise<number> {
  let requests = 0
  const cpu = await cpuOf(product, async () => {
    requests = await generate(`${product.url}/v2/bench/app/manifests/${reference}`)
  })
  return (cpu / requests) * 1e6
}

const accept = 'Accept: application/vnd.oci.image.manifest.v1+json'

/** Gives the number of requests that were answered in so many seconds. */
// oxlint-disable-next-line max-params -- what, how long and where
export async function get(url: string, headers: string[] = [], seconds = 5, cpus?: string): Promise<number> {
  const given = [accept, ...headers].flatMap((header) => ['-H', header])
  const output = await run('wrk', ['-t1', '-c32', `-d${seconds}s`, '--timeout', '10s', ...given, url], cpus)
  if (output.includes('Non-2xx')) throw new Error(`${url} is refused: ${output}`)
  return Number(/(\d+) requests in/.exec(output)?.[1])
}

/** As `get`, by a program that knows that an answer to HEAD has no body. */
async function head(url: string): Promise<number> {
  const output = await run('ab', ['-q', '-k', '-i', '-c32', '-t5', '-n10000000', '-H', accept, url])
  if (output.includes('Non-2xx')) throw new Error(`${url} is refused: ${output}`)
  return Number(/Complete requests:\s+(\d+)/.exec(output)?.[1])
}
