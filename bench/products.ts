import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
/** Server and client run on different processors, so that neither's work is counted as the other's speed. */
const serverCpu = '1'
export const clientCpu = '0'

export const productNames = ['holdfast', 'docker-registry'] as const
export type ProductName = (typeof productNames)[number]

/** A running registry on a store of its own. */
export interface Product {
  name: ProductName
  url: string
  folder: string
  /** CPU seconds the process has used so far, all threads. */
  cpu(): number
  /** Resident memory in MB: now, and the highest since the last call of `resetPeak`. */
  memory(): { now: number; peak: number }
  resetPeak(): void
  /** Milliseconds from start to the first answer. */
  startMs: number
  stop(): Promise<void>
}

/** Starts a product on `folder` (a new one by default), with these variables, and waits for its first answer. */
export async function startProduct(
  name: ProductName,
  folder?: string,
  variables: Record<string, string> = {},
): Promise<Product> {
  const store = folder ?? (await mkdtemp(join(tmpdir(), `bench-${name}-`)))
  const port = name === 'holdfast' ? 5311 : 5312
  const url = `http://127.0.0.1:${port}`
  const command = name === 'holdfast' ? await holdfast(store, port) : await dockerRegistry(store, port)
  const begun = performance.now()
  const child = spawn('taskset', ['-c', serverCpu, ...command], {
    stdio: 'ignore',
    env: { ...process.env, REGISTRY_LOG_LEVEL: 'error', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', ...variables }, // the same for both
  })
  const startMs = (await firstAnswer(child, url)) - begun
  const pid = child.pid!
  return {
    name,
    url,
    folder: store,
    startMs,
    cpu: () => cpuSeconds(pid),
    memory: () => ({ now: statusMb(pid, 'VmRSS'), peak: statusMb(pid, 'VmHWM') }),
    resetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Runs the work with both products on fresh stores, and cleans up after it. */
export async function withProducts<T>(work: (products: Product[]) => Promise<T>): Promise<T> {
  const products: Product[] = []
  try {
    for (const name of productNames) products.push(await startProduct(name))
    return await work(products)
  } finally {
    for (const product of products) {
      await product.stop()
      await rm(product.folder, { recursive: true, force: true })
    }
  }
}

async function holdfast(store: string, port: number): Promise<string[]> {
  return [join(root, 'bin/holdfast'), 'serve', '--addr', `127.0.0.1:${port}`, '--data', store]
}

async function dockerRegistry(store: string, port: number): Promise<string[]> {
  const config = `${store}.yml`
  await mkdir(store, { recursive: true })
  await writeFile(
    config,
    `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${store}}, delete: {enabled: true}, cache: {blobdescriptor: inmemory}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: "127.0.0.1:${port}"}
`,
  )
  return ['docker-registry', 'serve', config]
}

async function firstAnswer(child: ChildProcess, url: string): Promise<number> {
  for (const end = Date.now() + 30_000; Date.now() < end && child.exitCode === null;) {
    try {
      await fetch(`${url}/v2/`)
      return performance.now()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2)) // not listening yet
    }
  }
  throw new Error(`Cannot start ${url}: no answer (exit code ${child.exitCode})`)
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function statusMb(pid: number, key: string): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(key))
  return Math.round(Number(line?.split(/\s+/)[1]) / 1024)
}
