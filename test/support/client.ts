import { request } from 'node:http'
import { createHash, randomBytes } from 'node:crypto'
import { after } from 'node:test'
import { startRegistry } from './registry.ts'

export interface Answer {
  status: number
  headers: Record<string, string | undefined>
  body: Buffer
}

export interface CallOptions {
  headers?: Record<string, string | string[]>
  /** Sent with its length; an iterable is sent in pieces with chunked transfer encoding. */
  body?: Uint8Array | string | Iterable<Uint8Array>
}

/** One request on a connection of its own, sent as it is written: no header is added but Host, and no path is normalised. */
export function call(url: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const { body } = options
  const whole = typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : undefined
  const headers: CallOptions['headers'] = { ...options.headers }
  if (body === undefined) headers['Content-Length'] ??= '0'
  else if (whole) headers['Content-Length'] ??= String(whole.length)
  else headers['Transfer-Encoding'] = 'chunked'
  if (body === undefined && (method === 'GET' || method === 'HEAD')) delete headers['Content-Length']
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent: false }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.on('error', reject)
      reply.on('end', () =>
        resolve({
          status: reply.statusCode ?? 0,
          headers: reply.headers as Answer['headers'],
          body: Buffer.concat(chunks),
        }),
      )
    })
    sent.on('error', reject)
    if (whole === undefined) for (const chunk of (body ?? []) as Iterable<Uint8Array>) sent.write(chunk)
    sent.end(whole)
  })
}

/** The error codes of an answer, in order. */
export function codesOf({ body }: Answer): string[] {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string }[] }
  return errors.map((error) => error.code)
}

export function digestOf(content: Uint8Array | string, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`
}

/** The path of a `Location`, which may be absolute. */
export function pathOf(answer: Answer): string {
  const { pathname, search } = new URL(answer.headers.location ?? '', 'http://registry')
  return pathname + search
}

export interface TestRegistry {
  readonly url: string
  readonly port: number
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** Pushes a blob in one request and gives its digest. */
  pushBlob(repository: string, content: Uint8Array | string, algorithm?: string): Promise<string>
  /** Opens an upload session and gives its path. */
  startUpload(repository: string): Promise<string>
  putManifest(repository: string, reference: string, document: unknown, options?: ManifestOptions): Promise<Answer>
  /** Ends the process as a crash would, or politely, and starts another one over the same data. */
  restart(signal?: NodeJS.Signals): Promise<void>
}

interface ManifestOptions {
  /** Content-Type; the document's own media type by default, none with `''`. */
  type?: string
  headers?: Record<string, string>
}

/** The real server, started for the tests of this file and removed after them. */
export async function useRegistry(): Promise<TestRegistry> {
  let registry = await startRegistry()
  after(() => registry.dispose())
  return clientOf(() => registry, {
    async restart(signal) {
      const { data } = registry
      await registry.stop(signal)
      registry = await startRegistry({ data })
    },
  })
}

/** Calls whichever registry is there at the moment. */
export function clientOf(
  current: () => { url: string; port: number },
  { restart }: Pick<TestRegistry, 'restart'>,
): TestRegistry {
  const client: TestRegistry = {
    get url() {
      return current().url
    },
    get port() {
      return current().port
    },
    call: (method, path, options) => call(current().url, method, path, options),
    async pushBlob(repository, content, algorithm) {
      const digest = digestOf(content, algorithm)
      const reply = await client.call('POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: content })
      if (reply.status !== 201) throw new Error(`POST blob: ${reply.status} ${reply.body}`)
      return digest
    },
    async startUpload(repository) {
      const reply = await client.call('POST', `/v2/${repository}/blobs/uploads/`)
      if (reply.status !== 202) throw new Error(`POST upload: ${reply.status} ${reply.body}`)
      return pathOf(reply)
    },
    putManifest(repository, reference, document, { type, headers } = {}) {
      const body = typeof document === 'string' || Buffer.isBuffer(document) ? document : JSON.stringify(document)
      const own = type ?? (document as { mediaType?: string }).mediaType ?? ''
      const all = { ...(own && { 'Content-Type': own }), ...headers }
      return client.call('PUT', `/v2/${repository}/manifests/${reference}`, { body, headers: all })
    },
    restart,
  }
  return client
}

export const types = {
  image: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  artifact: 'application/vnd.oci.artifact.manifest.v1+json',
  dockerImage: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  empty: 'application/vnd.oci.empty.v1+json',
}

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  [more: string]: unknown
}

export function describeContent(content: Uint8Array | string, mediaType: string, algorithm?: string): Descriptor {
  return { mediaType, digest: digestOf(content, algorithm), size: Buffer.byteLength(content) }
}

/** Pushes the blobs of a small image unlike any other and gives its manifest, which is still to be pushed. */
export async function makeImage(registry: TestRegistry, repository: string, more: object = {}) {
  const layer = randomBytes(32)
  await Promise.all([registry.pushBlob(repository, '{}'), registry.pushBlob(repository, layer)])
  return {
    schemaVersion: 2,
    mediaType: types.image,
    config: describeContent('{}', types.config),
    layers: [describeContent(layer, types.layer)],
    ...more,
  }
}

export function makeIndex(children: unknown[], more: object = {}) {
  return {
    schemaVersion: 2,
    mediaType: types.index,
    manifests: children.map((child) =>
      describeContent(JSON.stringify(child), (child as { mediaType?: string }).mediaType ?? types.image),
    ),
    ...more,
  }
}
