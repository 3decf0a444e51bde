import { rm, writeFile } from 'node:fs/promises'
import { imageType, putManifest, randomFile, run, seedManifest } from '../load.ts'
import { compareAll, type Row } from '../measure.ts'
import { type Product, startProduct } from '../products.ts'
import { upload } from './blobs.ts'
import { get } from './manifests.ts'

/** Both processors, for the servers as for the load: what the load takes they lack. */
const cpus = '0,1'
const width = 8

interface Side extends Omit<Product, 'name'> {
  name: string
}

/** Two processes beside one, over SQLite and a folder. */
export async function processes(): Promise<Row[]> {
  const sides: [Side, Side] = [await start(2, 5321), await start(1, 5322)]
  try {
    return await sharedWork(sides)
  } finally {
    for (const side of sides) {
      await side.stop()
      await rm(side.folder, { recursive: true, force: true })
    }
  }
}

async function start(count: number, port: number): Promise<Side> {
  const variables = { HOLDFAST_PROCESSES: String(count) }
  return {
    ...(await startProduct('holdfast', { port, variables, cpus })),
    name: count === 1 ? 'one process' : 'two processes',
  }
}

async function sharedWork(sides: [Side, Side]): Promise<Row[]> {
  const large = await randomFile(300, 71)
  const layers = await Promise.all(Array.from({ length: width }, (_, index) => randomFile(100, 80 + index)))
  const manifests = new Map<Side, Buffer>()
  for (const side of sides) {
    const manifest = await seedManifest(side.url, 'bench/app')
    await putManifest(side.url, 'bench/app', 'v1', manifest)
    manifests.set(side, manifest)
    await upload(side.url, 'bench/app', large)
  }
  const perRequest = { 'a second': { moreIsBetter: true }, 'µs of CPU a request': {} }
  const whole = { s: {}, 'CPU s': {} }
  const asked = (work: string, path: string) =>
    compareAll(sides, { work, units: perRequest, repetitions: 5 }, (side) =>
      rateOf(side, () => get(`${side.url}/v2/bench/app/${path}`, [], 5, cpus)),
    )
  return [
    ...(await asked('manifest GET by tag, 32 connections', 'manifests/v1')),
    ...(await asked('tags/list, 32 connections', 'tags/list')),
    ...(await compareAll(sides, { work: 'tag PUT, 32 connections', units: perRequest }, (side) =>
      rateOf(side, () => putTags(side, manifests.get(side)!)),
    )),
    ...(await compareAll(sides, { work: `${width} pulls of 300 MB at once`, units: whole }, (side) =>
      timeOf(side, () => together(() => download(`${side.url}/v2/bench/app/blobs/${large.digest}`))),
    )),
    ...(await compareAll(sides, { work: `${width} pushes of 100 MB at once`, units: whole }, (side) =>
      timeOf(side, () => together((index) => upload(side.url, 'bench/app', layers[index]!, cpus))),
    )),
  ]
}

function together(work: (index: number) => Promise<unknown>): Promise<unknown> {
  return Promise.all(Array.from({ length: width }, (_, index) => work(index)))
}

async function download(url: string): Promise<void> {
  await run('curl', ['-sS', '-f', '-o', '/dev/null', url], cpus)
}

/** wrk puts the same manifest under one tag, again and again. Gives the number of requests. */
async function putTags({ url, folder }: Side, manifest: Buffer): Promise<number> {
  const script = `${folder}-put.lua`
  await writeFile(
    script,
    `wrk.method = "PUT"\nwrk.headers["Content-Type"] = "${imageType}"\nwrk.body = ${JSON.stringify(manifest.toString())}\n`,
  )
  const put = ['-t1', '-c32', '-d5s', '--timeout', '10s', '-s', script, `${url}/v2/bench/app/manifests/moved`]
  const output = await run('wrk', put, cpus)
  await rm(script)
  if (output.includes('Non-2xx')) throw new Error(`${url} is refused: ${output}`)
  return Number(/(\d+) requests in/.exec(output)?.[1])
}

async function rateOf(side: Side, work: () => Promise<number>): Promise<Record<string, number>> {
  const [cpu, begun] = [side.cpu(), performance.now()]
  const requests = await work()
  const seconds = (performance.now() - begun) / 1000
  return { 'a second': requests / seconds, 'µs of CPU a request': ((side.cpu() - cpu) / requests) * 1e6 }
}

async function timeOf(side: Side, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const [cpu, begun] = [side.cpu(), performance.now()]
  await work()
  return { s: (performance.now() - begun) / 1000, 'CPU s': side.cpu() - cpu }
}
