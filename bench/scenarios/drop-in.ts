import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parallel, putManifest, randomFile, run, seedManifest } from '../load.ts'
import { cpuOf, type Row, row } from '../measure.ts'
import { type Product, productNames, startProduct } from '../products.ts'
import { layerSizes, upload } from './blobs.ts'
import { get } from './manifests.ts'

/** What taking registry:2's place costs: passwords, and its tree of links. */
export async function dropIn(): Promise<Row[]> {
  return [await signedIn(), await following()]
}

/** CPU of a manifest GET with a password, as a multiple of one without. */
async function signedIn(): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-users-'))
  const file = join(folder, 'htpasswd')
  await writeFile(file, await run('htpasswd', ['-Bbn', '-C', '10', 'ann', 'secret']))
  const users = { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'bench', REGISTRY_AUTH_HTPASSWD_PATH: file }
  const password = [`Authorization: Basic ${Buffer.from('ann:secret').toString('base64')}`]
  const raw: Record<string, number[]> = {}
  for (let i = 0; i < 3; i++) {
    for (const name of productNames) {
      const open = await startProduct(name)
      await putManifest(open.url, 'bench/app', 'v1', await seedManifest(open.url, 'bench/app'))
      const without = await secondsARequest(open, [])
      await open.stop()
      const closed = await startProduct(name, { folder: open.folder, variables: users })
      ;(raw[name] ??= []).push((await secondsARequest(closed, password)) / without)
      await closed.stop()
      await rm(open.folder, { recursive: true })
    }
  }
  await rm(folder, { recursive: true })
  return row({ work: 'manifest GET with a password', unit: 'times one without', target: { atMost: 1.5 } }, raw)
}

async function secondsARequest(product: Product, headers: string[]): Promise<number> {
  let requests = 0
  const cpu = await cpuOf(product, async () => {
    requests = await get(`${product.url}/v2/bench/app/manifests/v1`, headers)
  })
  return cpu / requests
}

/** CPU of a push while the tree follows, the following included, as a multiple of one without. */
async function following(): Promise<Row> {
  const image = await Promise.all(layerSizes.map((size, index) => randomFile(size, 100 + index)))
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const seconds: number[] = []
    for (const follow of ['true', 'false']) {
      const product = await startProduct('holdfast', { variables: { HOLDFAST_STORAGE_FOLLOWTREE: follow } })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      seconds.push(
        await cpuOf(product, async () => {
          await parallel(4, image.length, (index) => upload(product.url, 'bench/push', image[index]!))
          await putManifest(product.url, 'bench/push', 'v1', await seedManifest(product.url, 'bench/push'))
          await new Promise((resolve) => setTimeout(resolve, 1000)) // the tree is a moment behind
        }),
      )
      await product.stop()
      await rm(product.folder, { recursive: true })
    }
    times.push(seconds[0]! / seconds[1]!)
  }
  return row(
    { work: 'push of 350 MB with the tree following', unit: 'times one without', target: { atMost: 1.1 } },
    { holdfast: times },
  )
}
