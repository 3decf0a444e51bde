import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { putManifest, run, seedManifest, sha256 } from '../load.ts'
import { compare, cpuOf, type Row } from '../measure.ts'
import { type Product, withProducts } from '../products.ts'

/** Manifest GET by tag and by digest and HEAD, 32 connections: CPU microseconds a request. */
export async function manifests(): Promise<Row[]> {
  const head = join(tmpdir(), 'holdfast-bench-head.lua')
  await writeFile(head, 'wrk.method = "HEAD"\n')
  return withProducts(async (products) => {
    let digest = ''
    for (const { url } of products) {
      const manifest = await seedManifest(url, 'bench/app')
      await putManifest(url, 'bench/app', 'v1', manifest)
      digest = sha256(manifest)
    }
    const cases: [string, string, string[]][] = [
      ['manifest GET by tag', 'v1', []],
      ['manifest GET by digest', digest, []],
      ['manifest HEAD by tag', 'v1', ['-s', head]],
    ]
    const rows: Row[] = []
    for (const [work, reference, options] of cases) {
      const target = { work, unit: 'µs of CPU a request', target: { ratio: 25 } }
      rows.push(await compare(products, target, (product) => microseconds(product, reference, options)))
    }
    return rows
  })
}

async function microseconds(product: Product, reference: string, options: string[]): Promise<number> {
  const accept = 'Accept: application/vnd.oci.image.manifest.v1+json'
  let requests = 0
  const cpu = await cpuOf(product, async () => {
    const target = `${product.url}/v2/bench/app/manifests/${reference}`
    const output = await run('wrk', ['-t1', '-c32', '-d5s', '-H', accept, ...options, target])
    if (output.includes('Non-2xx')) throw new Error(`${product.name} refused manifests: ${output}`)
    requests = Number(/(\d+) requests in/.exec(output)?.[1])
  })
  return (cpu / requests) * 1e6
}
