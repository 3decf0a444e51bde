import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
/** Server and client run on different processors, so that neither's work is counted as the other's speed. */
const serverCpu = '1'
export const clientCpu = '0'

export const productNames = ['holdfast', 'docker-registry'] as const
export type ProductName = (typeof productNames)[number]

/** What is compared with another. */
export interface Side {
  name: string
  url: string
  /** CPU seconds the process has used so far, all threads. */
  cpu(): number
}

/** A running registry on a store of its own. */
export interface Product extends Side {
  name: ProductName
  folder: string
  /** Resident memory in MB: now, and the highest since the last call of `resetPeak`. */
  memory(): { now: number; peak: number }
  resetPeak(): void
  /** Milliseconds from start to the first answer. */
  startMs: number
  stop(): Promise<void>
}

export interface StartOptions {
  /** A new one by default. */
  folder?: string
  variables?: Record<string, string>
  /** Where images are kept, as it stands in a configuration file; in the folder by default. */
  driver?: string | undefined
  /** Whether clients are sent to the store for blobs. */
  redirect?: boolean
  port?: number
  /** Where it runs; on the server's processor by default. */
  cpus?: string
}

/** Starts a product and waits for its first answer. */
export async function startProduct(name: ProductName, options: StartOptions = {}): Promise<Product> {
  const { port = name === 'holdfast' ? 5311 : 5312, variables, driver, redirect = false, cpus = serverCpu } = options
  const store = options.folder ?? (await mkdtemp(join(tmpdir(), `bench-${name}-`)))
  const url = `http://127.0.0.1:${port}`
  const command = name === 'holdfast' ? holdfast(store, port) : await dockerRegistry(store, port, driver, redirect)
  const given = name === 'holdfast' && driver ? { REGISTRY_STORAGE: storageOf(driver, redirect) } : {}
  const begun = performance.now()
  const child = spawn('taskset', ['-c', cpus, ...command], {
    stdio: 'ignore',
    env: { ...process.env, ...quiet, ...given, ...variables },
  })
  const startMs = (await firstAnswer(child, url)) - begun
  const pid = child.pid!
  return {
    name,
    url,
    folder: store,
    startMs,
    cpu: () => cpuSecondsOfAll(pid),
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

/** The same for both. docker-registry's S3 driver cannot take certificates from the environment. */
const quiet = { REGISTRY_LOG_LEVEL: 'error', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', AWS_CA_BUNDLE: undefined }

function storageOf(driver: string, redirect: boolean, more = ''): string {
  return `{${driver}, redirect: {disable: ${!redirect}}, delete: {enabled: true}${more}}`
}

function holdfast(store: string, port: number): string[] {
  return [join(root, 'bin/holdfast'), 'serve', '--addr', `127.0.0.1:${port}`, '--data', store]
}

// oxlint-disable-next-line max-params -- all of a kind
async function dockerRegistry(
  store: string,
  port: number,
  driver: string | undefined,
  redirect: boolean,
): Promise<string[]> {
  const more = ', cache: {blobdescriptor: inmemory}, maintenance: {uploadpurging: {enabled: false}}'
  const config = `${store}.yml`
  await mkdir(store, { recursive: true })
  await writeFile(
    config,
    `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: ${storageOf(driver ?? `filesystem: {rootdirectory: ${store}}`, redirect, more)}
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

export function cpuSeconds(pid: number): number {
  const fields = statOf(pid)
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100
}

/** CPU seconds of a server that is many processes: its own, those of its children, and of those that have ended. */
export function cpuSecondsOfAll(pid: number): number {
  const ended = statOf(pid).slice(13, 15)
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const children = processes.filter((name) => statOf(Number(name))[1] === String(pid))
  const living = [pid, ...children.map(Number)].reduce((sum, each) => sum + cpuSeconds(each), 0)
  return living + ended.reduce((sum, ticks) => sum + Number(ticks) / 100, 0)
}

/** The fields after the name of the program; none when the process has ended. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  } catch {
    return [] // ended in between
  }
}

/** Keeps this process and what it starts from here on away from the server's processor. */
export function stayOnClientCpu(): void {
  const { status, stderr } = spawnSync('taskset', ['-a', '-p', '-c', clientCpu, String(process.pid)])
  if (status !== 0) throw new Error(`taskset: ${stderr}`)
}

function statusMb(pid: number, key: string): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(key))
  return Math.round(Number(line?.split(/\s+/)[1]) / 1024)
}
