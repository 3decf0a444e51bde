import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { clientCpu } from './products.ts'

/** Runs a program on the client's processor, unless said otherwise; gives its output. @throws when it fails or takes longer than ten minutes */
export function run(command: string, args: string[], cpus = clientCpu): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', cpus, command, ...args], { timeout: 600_000 })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command}: exit ${code}: ${output}`)),
    )
  })
}

export interface LoadReply {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 })

/** One request over kept-alive connections. */
export function send(
  method: string,
  url: string,
  body?: Buffer,
  headers: Record<string, string> = {},
): Promise<LoadReply> {
  return new Promise((resolve, reject) => {
    const length = body ? { 'Content-Length': String(body.length) } : {}
    const sent = request(url, { method, agent, headers: { ...headers, ...length } }, (message) => {
      const chunks: Buffer[] = []
      message.on('data', (chunk: Buffer) => chunks.push(chunk))
      message.once('end', () =>
        resolve({ status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(chunks) }),
      )
      message.once('error', reject)
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

/** As `send`, for requests that must succeed. */
export async function must(status: number, ...args: Parameters<typeof send>): Promise<LoadReply> {
  const reply = await send(...args)
  if (reply.status === status) return reply
  throw new Error(`${args[0]} ${args[1]}: ${reply.status} ${reply.body.toString().slice(0, 200)}`)
}

/** Runs `count` tasks, `width` at a time. */
export async function parallel(width: number, count: number, task: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: width }, worker))
}

export function sha256(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** Opens an upload and gives the URL that closes it with this digest. */
export async function uploadUrl(
  url: string,
  repository: string,
  digest: string,
): Promise<{ open: string; close: string }> {
  const { headers } = await must(202, 'POST', `${url}/v2/${repository}/blobs/uploads/`)
  const open = new URL(String(headers.location), url)
  const close = new URL(open)
  close.searchParams.set('digest', digest)
  return { open: open.href, close: close.href }
}

export async function pushBlob(url: string, repository: string, content: Buffer): Promise<string> {
  const digest = sha256(content)
  await must(201, 'PUT', (await uploadUrl(url, repository, digest)).close, content)
  return digest
}

export const imageType = 'application/vnd.oci.image.manifest.v1+json'

/** A small image manifest whose config and layers are in the repository. */
export async function seedManifest(url: string, repository: string, extra: object = {}): Promise<Buffer> {
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  const layers = Array.from({ length: 8 }, (_, index) => Buffer.from(`layer ${index}`))
  const describe = async (mediaType: string, content: Buffer) => ({
    mediaType,
    digest: await pushBlob(url, repository, content),
    size: content.length,
  })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: imageType,
      config: await describe('application/vnd.oci.image.config.v1+json', config),
      layers: await Promise.all(layers.map((layer) => describe('application/vnd.oci.image.layer.v1.tar', layer))),
      ...extra,
    }),
  )
}

export async function putManifest(url: string, repository: string, reference: string, manifest: Buffer): Promise<void> {
  await must(201, 'PUT', `${url}/v2/${repository}/manifests/${reference}`, manifest, { 'Content-Type': imageType })
}

/** A file of pseudo-random bytes, made once, and its digest. */
export async function randomFile(
  megabytes: number,
  seed: number,
): Promise<{ path: string; digest: string; bytes: number }> {
  const folder = join(tmpdir(), 'holdfast-bench-files')
  const path = join(folder, `${megabytes}-${seed}.bin`)
  await mkdir(folder, { recursive: true })
  if (!existsSync(`${path}.sha256`)) {
    const hash = createHash('sha256')
    await pipeline(noise(megabytes, seed, hash), createWriteStream(path))
    await writeFile(`${path}.sha256`, `sha256:${hash.digest('hex')}`)
  }
  return { path, digest: await readFile(`${path}.sha256`, 'utf8'), bytes: Math.round(megabytes * 1e6) }
}

function* noise(megabytes: number, seed: number, hash: ReturnType<typeof createHash>): Generator<Buffer> {
  const base = createHash('shake256', { outputLength: 1_000_000 }).update(String(seed)).digest()
  for (let left = Math.round(megabytes * 1e6), index = 0; left > 0; left -= base.length, index++) {
    const chunk = Buffer.from(base.subarray(0, Math.min(left, base.length)))
    chunk.writeUInt32LE(index, 0) // no two megabytes alike
    hash.update(chunk)
    yield chunk
  }
}
