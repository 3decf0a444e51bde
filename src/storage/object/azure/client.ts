import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { endpointOf, encodePath, encodeQuery, hostHeader, type StoreRequest } from '../address.ts'
import { usualIdleMs } from '../body.ts'
import { explain } from '../explain.ts'
import { each } from '../parallel.ts'
import { factsOf, type ObjectBody, type ObjectStore, type Part, StoreError } from '../store.ts'
import { createTransport, isMissing, type Patience, type SendOptions, tagOf, tagsOf } from '../transport.ts'
import { advice } from './advice.ts'
import { type AzureCredentials, createTokens, readSignature, sharedKey } from './signing.ts'

export interface AzureOptions {
  account: string
  container: string
  /** Of the blob service, with the account where that stands in the path. */
  serviceUrl: string
  credentials: AzureCredentials
  /** Before every key; empty, or ends with a slash. */
  prefix: string
  skipVerify: boolean
  patience?: Partial<Patience>
}

interface Deps {
  clock: { now(): Date }
  /** Gives names that nobody has, all of one length. */
  id(): string
}

interface Call {
  method: string
  key?: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer[]
}

const version = '2021-12-02'
/** Names of metadata are words. */
const modifiedHeader = 'x-ms-meta-holdfastmodified'
const contentType = 'application/octet-stream'
const maxPart = 8 << 20
const deletesAtOnce = 16
const isPending = (headers: IncomingHttpHeaders) => headers['x-ms-copy-status'] === 'pending'

/** A client for Azure Blob Storage. Parts are blocks, which Azure forgets by itself when they are not put together in a week. */
export function createAzure(options: AzureOptions, { clock, id }: Deps): ObjectStore {
  const { account, container, credentials, serviceUrl, prefix: configured } = options
  const { endpoint, path: above } = endpointOf(serviceUrl)
  const base = `${above}/${container}`
  const transport = createTransport({ skipVerify: options.skipVerify, ...options.patience })
  const token =
    credentials.kind === 'client' || credentials.kind === 'default' ? createTokens(credentials, clock) : undefined
  const sas = Object.fromEntries(new URLSearchParams(credentials.kind === 'sas' ? credentials.query : ''))
  let probing: Promise<string> | undefined

  /** registry:2 2.x began names with a slash, 3.x does not: what is there decides. */
  function prefixOf(): Promise<string> {
    if (configured !== '') return Promise.resolve(configured)
    if (probing) return probing
    probing = sendForText({ method: 'GET', query: { ...listing, prefix: '/docker/registry/', maxresults: '1' } }).then(
      ({ text }) => (tagsOf(text, 'Blob').length > 0 ? '/' : ''),
    )
    probing.catch(() => (probing = undefined))
    return probing
  }

  async function requestOf({ method, key, query = {}, headers = {}, body = [] }: Call): Promise<StoreRequest> {
    const path = key === undefined ? base : `${base}/${encodePath((await prefixOf()) + key)}`
    const length = body.reduce((sum, chunk) => sum + chunk.length, 0)
    const all: Record<string, string> = {
      ...headers,
      host: hostHeader(endpoint),
      'x-ms-date': clock.now().toUTCString(),
      'x-ms-version': version,
      ...(method === 'PUT' && { 'content-length': String(length) }),
      // Over TLS nobody can change the bytes on the way.
      ...(length > 0 && endpoint.protocol === 'http:' && { 'content-md5': md5(body) }),
    }
    if (credentials.kind === 'key')
      all.authorization = sharedKey(credentials.key, { account, method, path, query, headers: all })
    else if (token) all.authorization = `Bearer ${await token()}`
    return { endpoint, method, path: path + encodeQuery({ ...query, ...sas }), headers: all, body }
  }
  const send = (call: Call, sendOptions?: SendOptions) => transport.send(() => requestOf(call), sendOptions)
  const sendForText = (call: Call, sendOptions?: SendOptions) =>
    transport.sendForText(() => requestOf(call), sendOptions)

  /** Does again what a blob of another kind was in the way of: old small files are append blobs. */
  async function replacing<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreError) || error.reason !== 'InvalidBlobType') throw error
      await store.delete([key])
      return work()
    }
  }

  const store: ObjectStore = {
    limits: { parts: 50_000, leastPart: 1 },

    async head(key) {
      const answer = await send({ method: 'HEAD', key }, { expect: [404] })
      if (await isMissing(answer)) return undefined
      answer.resume()
      return factsOf(answer.headers, modifiedHeader)
    },

    async get(key, part) {
      const headers = part && { 'x-ms-range': `bytes=${part.first}-${part.last}`, 'if-match': part.etag }
      const found = await transport.open(() => requestOf({ method: 'GET', key, ...(headers && { headers }) }), {
        isPart: part !== undefined,
      })
      return found && { ...factsOf(found.headers, modifiedHeader), body: found.body }
    },

    async put(key, body, modifiedAt) {
      const headers = {
        'x-ms-blob-type': 'BlockBlob',
        'content-type': contentType,
        ...(modifiedAt && { [modifiedHeader]: String(modifiedAt.getTime()) }),
      }
      await replacing(key, () => sendForText({ method: 'PUT', key, headers, body }))
    },

    async copy(from, to) {
      const path = `${base}/${encodePath((await prefixOf()) + from)}${encodeQuery(sas)}`
      const headers = { 'x-ms-copy-source': `${endpoint.protocol}//${hostHeader(endpoint)}${path}` }
      const call = { method: 'PUT', key: to, headers }
      let { headers: answer } = await replacing(to, () => sendForText(call, { slow: true }))
      while (isPending(answer)) {
        await setTimeout(200)
        answer = (await send({ method: 'HEAD', key: to })).headers
      }
      if (answer['x-ms-copy-status'] !== 'success')
        throw new StoreError(
          `the store did not copy: ${answer['x-ms-copy-status-description'] ?? 'it does not say why'}`,
        )
    },

    async delete(keys) {
      await each(keys, deletesAtOnce, async (key) => {
        const answer = await send({ method: 'DELETE', key }, { expect: [404] })
        if (!(await isMissing(answer))) answer.resume()
      })
    },

    async *list(below, shallow = false) {
      const prefix = await prefixOf()
      const query = { ...listing, prefix: prefix + below, ...(shallow && { delimiter: '/' }) }
      for (let marker = ''; ;) {
        const { text } = await sendForText({ method: 'GET', query: { ...query, ...(marker && { marker }) } })
        for (const item of tagsOf(text, 'Blob'))
          yield {
            key: (tagOf(item, 'Name') ?? '').slice(prefix.length),
            modifiedAt: new Date(tagOf(item, 'Last-Modified') ?? 0),
          }
        for (const item of tagsOf(text, 'BlobPrefix'))
          yield { key: (tagOf(item, 'Name') ?? '').slice(prefix.length).replace(/\/$/, ''), modifiedAt: undefined }
        marker = tagOf(text, 'NextMarker') ?? ''
        if (marker === '') return
      }
    },

    async signedUrl(key) {
      // A signature that was given to us allows too much to be given away.
      if (credentials.kind !== 'key') return undefined
      const whole = (await prefixOf()) + key
      const query = readSignature(credentials.key, `/blob/${account}/${container}/${whole}`, clock.now())
      return `${endpoint.protocol}//${hostHeader(endpoint)}${base}/${encodePath(whole)}${encodeQuery(query)}`
    },

    begin: async (key) => ({ key, id: id() }),

    async putPart({ key, id: uploadId }, number, body) {
      const blockid = Buffer.from(`${uploadId}-${String(number).padStart(6, '0')}`).toString('base64')
      await replacing(key, () => sendForText({ method: 'PUT', key, query: { comp: 'block', blockid }, body }))
      return { number, etag: blockid }
    },

    async copyParts(upload, first, from, size) {
      const facts = await store.head(from)
      if (!facts) throw new StoreError(`${from} is gone from the store`)
      const parts: Part[] = []
      for (let position = 0; position < size; position += maxPart) {
        const last = Math.min(size, position + maxPart) - 1
        const found = await store.get(from, { first: position, last, etag: facts.etag })
        if (!found) throw new StoreError(`${from} is gone from the store`)
        parts.push(await store.putPart(upload, first + parts.length, await chunksOf(found.body)))
      }
      return parts
    },

    async complete({ key }, parts, size) {
      const list = parts.map(({ etag }) => `<Latest>${etag}</Latest>`).join('')
      const body = [Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${list}</BlockList>`)]
      const headers = { 'x-ms-blob-content-type': contentType }
      try {
        await sendForText({ method: 'PUT', key, query: { comp: 'blocklist' }, headers, body }, { slow: true })
      } catch (error) {
        // An attempt whose answer was lost may have worked; or another push of the same blob, which takes the blocks of this one away.
        if (!(error instanceof StoreError) || error.reason !== 'InvalidBlockList') throw error
        if ((await store.head(key))?.size !== size) throw error
      }
    },

    abort: async () => {},
    async *unfinished() {},

    async check() {
      try {
        await prefixOf()
        await sendForText({ method: 'GET', query: { ...listing, prefix: 'docker/', maxresults: '1' } })
      } catch (error) {
        const where = `container ${container} of account ${account} at ${serviceUrl}`
        throw explain(error, where, advice, 'check storage.azure.serviceurl or realm, the network and the store')
      }
    },
  }
  return store
}

/** Copies of all that comes. @throws StoreError when that is less than announced */
async function chunksOf(body: ObjectBody): Promise<Buffer[]> {
  const chunks: Buffer[] = []
  try {
    for (let chunk; (chunk = await body.next(usualIdleMs));) chunks.push(Buffer.from(chunk))
    return chunks
  } finally {
    body.destroy()
  }
}

const listing = { restype: 'container', comp: 'list' }

function md5(body: Buffer[]): string {
  const hash = createHash('md5')
  for (const chunk of body) hash.update(chunk)
  return hash.digest('base64')
}
