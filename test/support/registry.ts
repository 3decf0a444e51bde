import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

export interface RunningRegistry {
  url: string
  host: string
  port: number
  pid: number
  data: string
  /** All that the server wrote. */
  output(): string
  /** Its part of that on standard error: the log of the program. */
  errors(): string
  /** Ends the process and waits; SIGTERM unless said otherwise. Gives its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** Stops the server and removes its data. */
  dispose(): Promise<void>
}

interface StartOptions {
  /** Folder of the images; a new temporary one by default. */
  data?: string
  env?: Record<string, string>
  /** Runs the server under this command, such as strace with its arguments. */
  under?: string[]
  /** 0, the default, takes any free port. */
  port?: number
  /** A configuration file. */
  file?: string
}

/** Starts the real server as a process of its own on a loopback port and waits until it listens. */
export async function startRegistry({
  data,
  env,
  under = [],
  port = 0,
  file,
}: StartOptions = {}): Promise<RunningRegistry> {
  const folder = data ?? (await mkdtemp(join(tmpdir(), 'holdfast-test-')))
  const program = [process.execPath, '--use-system-ca', join(root, 'src/main.ts')] // as bin/holdfast has it
  const main = [...program, 'serve', '--addr', `127.0.0.1:${port}`, '--data', folder]
  if (file) main.push(file)
  const [command, ...args] = [...under, ...main]
  const all = { HOLDFAST_PROCESSES: '1', ...process.env, ...env } // one, unless a test or the whole run asks for more
  const child = spawn(command!, args, { env: all, stdio: ['ignore', 'pipe', 'pipe'] })
  // When all that it wrote is read, and whatever it started is gone too.
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  let output = ''
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const bound = await listening(child, () => output)

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    child.kill(signal)
    return exited
  }
  return {
    url: `http://127.0.0.1:${bound}`,
    host: `127.0.0.1:${bound}`,
    port: bound,
    pid: child.pid!,
    data: folder,
    output: () => output,
    errors: () => errors,
    stop,
    async dispose() {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function listening(child: ChildProcess, output: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => reject(new Error(`The server did not start: ${output()}`)), 20_000)
    const look = () => {
      const port = /registry\.listening address=\S*:(\d+) /.exec(output())?.[1]
      if (!port) return
      clearTimeout(timeout)
      resolve(Number(port))
    }
    child.stderr?.on('data', look)
    child.once('exit', () => {
      clearTimeout(timeout)
      reject(new Error(`The server ended: ${output()}`))
    })
  })
}

export function sha256(content: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** Pushes a blob by POST and PUT; throws on anything but 201. */
export async function pushBlob(url: string, repository: string, content: Uint8Array, as = ''): Promise<string> {
  const digest = sha256(content)
  const headers = as === '' ? {} : { Authorization: as }
  const start = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers })
  if (start.status !== 202) throw new Error(`POST upload: ${start.status} ${await start.text()}`)
  const location = new URL(start.headers.get('location')!, url)
  location.searchParams.set('digest', digest)
  const end = await fetch(location, { method: 'PUT', body: Buffer.from(content), headers })
  if (end.status !== 201) throw new Error(`PUT upload: ${end.status} ${await end.text()}`)
  return digest
}

export const imageType = 'application/vnd.oci.image.manifest.v1+json'

/** Pushes an image of one config and these layers, as somebody if need be; gives the manifest's bytes and digest. */
// oxlint-disable-next-line max-params -- the last one is for registries that ask who pushes
export async function pushImage(
  url: string,
  repository: string,
  reference: string,
  layers: Uint8Array[],
  as = '',
): Promise<{ digest: string; manifest: Buffer }> {
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }),
  )
  const descriptor = async (mediaType: string, content: Uint8Array) => ({
    mediaType,
    digest: await pushBlob(url, repository, content, as),
    size: content.length,
  })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: imageType,
      config: await descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: await Promise.all(layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar', layer))),
    }),
  )
  const reply = await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'Content-Type': imageType, ...(as !== '' && { Authorization: as }) },
    body: manifest,
  })
  if (reply.status !== 201) throw new Error(`PUT manifest: ${reply.status} ${await reply.text()}`)
  return { digest: sha256(manifest), manifest }
}
