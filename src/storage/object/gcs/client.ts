import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { encodeQuery, endpointOf, hostHeader, type StoreRequest } from '../address.ts'
import { explain } from '../explain.ts'
import { each } from '../parallel.ts'
import { type ObjectFacts, type ObjectStore, type Part, StoreError } from '../store.ts'
import { createTransport, isMissing, type Patience, type SendOptions } from '../transport.ts'
import { advice } from './advice.ts'
import { createTokens, type GcsCredentials, keyOf, signedPath } from './signing.ts'

export interface GcsOptions {
  bucket: string
  /** Google's, or that of a server that speaks like it. */
  endpoint: string
  credentials: GcsCredentials
  /** Before every key; empty, or ends with a slash. */
  prefix: string
  patience?: Partial<Patience>
}

interface Deps {
  clock: { now(): Date }
  /** Gives names that nobody has. */
  id(): string
}

interface Call {
  method: string
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer[]
}

/** An object as the JSON API describes it. */
interface Described {
  name: string
  size: string
  updated: string
  generation: string
  metadata?: Record<string, string>
}

const contentType = 'application/octet-stream'
const boundary = 'holdfast-next-part'
/** What Google puts together at a time. */
const maxSources = 32
const atOnce = 16
const partsPrefix = 'holdfast/staging'

/**
 * A client for Google Cloud Storage, by its JSON API. Parts are objects of their own, which Google puts together without their bytes
 * moving; that is also how it copies.
 */
export function createGcs(options: GcsOptions, { clock, id }: Deps): ObjectStore {
  const { bucket, prefix, credentials } = options
  const { endpoint } = endpointOf(options.endpoint)
  const objects = `/storage/v1/b/${encodeURIComponent(bucket)}/o`
  const transport = createTransport({ skipVerify: false, ...options.patience })
  const authorization = createTokens(credentials)
  let reading: ReturnType<typeof keyOf> | undefined

  const pathOf = (key: string) => `${objects}/${encodeURIComponent(prefix + key)}`
  const partKey = (upload: string, name: string) => `${partsPrefix}/${upload}/${name}`

  async function requestOf({ method, path, query = {}, headers = {}, body = [] }: Call): Promise<StoreRequest> {
    const token = await authorization()
    const length = body.reduce((sum, chunk) => sum + chunk.length, 0)
    const all = {
      ...headers,
      host: hostHeader(endpoint),
      ...(token !== undefined && { authorization: token }),
      ...(method === 'POST' && { 'content-length': String(length) }),
    }
    return { endpoint, method, path: path + encodeQuery(query), headers: all, body }
  }
  const send = (call: Call, sendOptions?: SendOptions): Promise<IncomingMessage> =>
    transport.send(() => requestOf(call), sendOptions)
  async function ask<T>(call: Call, sendOptions?: SendOptions): Promise<T> {
    const { text } = await transport.sendForText(() => requestOf(call), sendOptions)
    return (text === '' ? {} : JSON.parse(text)) as T
  }
  const postJson = <T>(path: string, value: unknown, query: Record<string, string> = {}): Promise<T> => {
    const body = [Buffer.from(JSON.stringify(value))]
    return ask({ method: 'POST', path, query, headers: { 'content-type': 'application/json' }, body }, { slow: true })
  }

  async function describe(key: string): Promise<Described | undefined> {
    const answer = await send({ method: 'GET', path: pathOf(key), query: { alt: 'json' } }, { expect: [404] })
    if (await isMissing(answer)) return undefined
    const chunks: Buffer[] = []
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
    return JSON.parse(Buffer.concat(chunks).toString()) as Described
  }

  /** Stores an object with its description in one request; gives its generation. */
  async function insert(key: string, body: Buffer[], modifiedAt?: Date): Promise<string> {
    const metadata = modifiedAt && { metadata: { holdfastmodified: String(modifiedAt.getTime()) } }
    const described = JSON.stringify({ name: prefix + key, contentType, ...metadata })
    const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${described}\r\n--${boundary}\r\ncontent-type: ${contentType}\r\n\r\n`
    const { generation } = await ask<Described>({
      method: 'POST',
      path: `/upload${objects}`,
      query: { uploadType: 'multipart' },
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: [Buffer.from(head), ...body, Buffer.from(`\r\n--${boundary}--\r\n`)],
    })
    return generation
  }

  async function rewrite(from: string, to: string): Promise<string> {
    for (let more: Record<string, string> = {}; ;) {
      type Answer = { done: boolean; rewriteToken: string; resource: Described }
      const path = `${pathOf(from)}/rewriteTo/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(prefix + to)}`
      const { done, rewriteToken, resource } = await postJson<Answer>(path, { contentType }, more)
      if (done) return resource.generation
      more = { rewriteToken }
    }
  }

  /** Puts objects together under a key. */
  async function compose(key: string, parts: readonly { key: string; generation: string }[]): Promise<string> {
    const sourceObjects = parts.map((part) => ({ name: prefix + part.key, generation: part.generation }))
    const composed = { kind: 'storage#composeRequest', sourceObjects, destination: { contentType } }
    return (await postJson<Described>(`${pathOf(key)}/compose`, composed)).generation
  }

  const store: ObjectStore = {
    limits: { parts: 10_000, leastPart: 1 },

    async head(key) {
      const found = await describe(key)
      return found && factsOf(found)
    },

    async get(key, part) {
      const headers = part && { range: `bytes=${part.first}-${part.last}` }
      const query = { alt: 'media', ...(part && { ifGenerationMatch: part.etag }) }
      const call = { method: 'GET', path: `/download${pathOf(key)}`, query, ...(headers && { headers }) }
      const found = await transport.open(() => requestOf(call), { isPart: part !== undefined })
      return found && { ...factsOfStream(found.headers), body: found.body }
    },

    async put(key, body, modifiedAt) {
      await insert(key, body, modifiedAt)
    },

    async copy(from, to) {
      await rewrite(from, to)
    },

    async delete(keys) {
      await each(keys, atOnce, async (key) => {
        const answer = await send({ method: 'DELETE', path: pathOf(key) }, { expect: [404] })
        if (!(await isMissing(answer))) answer.resume()
      })
    },

    async *list(below, shallow = false) {
      const query = { prefix: prefix + below, fields: 'nextPageToken,prefixes,items(name,updated)' }
      for (let pageToken: string | undefined; ;) {
        const more = { ...(shallow && { delimiter: '/' }), ...(pageToken && { pageToken }) }
        type Page = { items?: Described[]; prefixes?: string[]; nextPageToken?: string }
        const page = await ask<Page>({ method: 'GET', path: objects, query: { ...query, ...more } })
        for (const { name, updated } of page.items ?? [])
          yield { key: name.slice(prefix.length), modifiedAt: new Date(updated) }
        for (const name of page.prefixes ?? [])
          yield { key: name.slice(prefix.length).replace(/\/$/, ''), modifiedAt: undefined }
        pageToken = page.nextPageToken
        if (!pageToken) return
      }
    },

    async signedUrl(key) {
      const signing = await (reading ??= keyOf(credentials))
      if (!signing) return undefined
      const host = hostHeader(endpoint)
      return `${endpoint.protocol}//${host}${signedPath(signing, { host, bucket, name: prefix + key, now: clock.now() })}`
    },

    begin: async (key) => ({ key, id: id() }),

    async putPart(upload, number, body) {
      return { number, etag: await insert(partKey(upload.id, String(number)), body) }
    },

    async copyParts(upload, first, from) {
      return [{ number: first, etag: await rewrite(from, partKey(upload.id, String(first))) }]
    },

    async complete({ key, id: upload }, parts, size) {
      let sources = parts.map(({ number, etag }: Part) => ({ key: partKey(upload, String(number)), generation: etag }))
      const made: string[] = sources.map((source) => source.key)
      try {
        for (let level = 1; sources.length > maxSources; level++) {
          const groups = Array.from({ length: Math.ceil(sources.length / maxSources) }, (_, i) => i)
          const present = sources
          sources = await each(groups, atOnce, async (i) => {
            const between = partKey(upload, `${level}-${i}`)
            made.push(between)
            return {
              key: between,
              generation: await compose(between, present.slice(i * maxSources, (i + 1) * maxSources)),
            }
          })
        }
        await compose(key, sources)
      } catch (error) {
        // The answer to an attempt that worked may have been lost.
        if (!(error instanceof StoreError) || error.status !== 404) throw error
        if ((await store.head(key))?.size !== size) throw error
      }
      await store.delete(made).catch(() => undefined) // swept later
    },

    async abort({ id: upload }) {
      const keys: string[] = []
      for await (const { key } of store.list(`${partsPrefix}/${upload}/`)) keys.push(key)
      await store.delete(keys)
    },

    /** Their parts are objects. */
    async *unfinished() {},

    async check() {
      try {
        await ask({ method: 'GET', path: objects, query: { prefix: `${prefix}docker/`, maxResults: '1' } })
      } catch (error) {
        const where = `bucket ${bucket} at ${options.endpoint}`
        throw explain(error, where, advice, 'check storage.gcs, the network and the store')
      }
    },
  }
  return store
}

function factsOf({ size, updated, generation, metadata }: Described): ObjectFacts {
  const own = Number(metadata?.holdfastmodified)
  return { size: Number(size), modifiedAt: new Date(own > 0 ? own : updated), etag: generation }
}

function factsOfStream(headers: IncomingHttpHeaders): ObjectFacts {
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]
  return {
    size: Number(total ?? headers['content-length'] ?? headers['x-goog-stored-content-length'] ?? 0),
    modifiedAt: new Date(headers['last-modified'] ?? 0),
    etag: String(headers['x-goog-generation'] ?? ''),
  }
}
