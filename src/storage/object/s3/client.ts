import { createHash } from 'node:crypto'
import { encodePath, encodeQuery, hostHeader, type StoreRequest } from '../address.ts'
import { explain } from '../explain.ts'
import { each } from '../parallel.ts'
import { factsOf, type Multipart, type ObjectStore, type Part, StoreError } from '../store.ts'
import { createTransport, isMissing, type Patience, type SendOptions, tagOf, tagsOf } from '../transport.ts'
import { addressOf, redirectAddressOf, type S3Address } from './address.ts'
import { advice } from './advice.ts'
import { type Credentials, createSigner } from './signer.ts'

export interface S3Options extends S3Address {
  credentials: Credentials | undefined
  /** Before every key; empty, or ends with a slash. */
  prefix: string
  skipVerify: boolean
  /** Whether S3 encrypts what it stores, with this key of its key service or with its own. */
  encryption: { keyId: string | undefined } | undefined
  storageClass: string | undefined
  acl: string | undefined
  userAgent: string | undefined
  /** From `threshold` bytes on copies are made in parts of `size`, so many at a time. */
  multipartCopy: { threshold: number; size: number; concurrency: number }
  patience?: Partial<Patience>
}

interface Call {
  method: string
  key?: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer[]
}

const modifiedHeader = 'x-amz-meta-holdfast-modified'
const unsigned = 'UNSIGNED-PAYLOAD'
/** What S3 takes in one copy at most. */
const maxCopy = 5 * 2 ** 30
const maxDeletes = 1000

/** A client for Amazon S3 and what speaks like it: requests by node:http, signatures by AWS's library. */
export function createS3(options: S3Options): ObjectStore {
  const { prefix, bucket, userAgent, multipartCopy } = options
  const { endpoint, base } = addressOf(options)
  const outside = redirectAddressOf(options)
  const transport = createTransport({ skipVerify: options.skipVerify, ...options.patience })
  const signer = createSigner(options)
  const stored = storedHeaders(options)

  async function requestOf({ method, key, query = {}, headers = {}, body = [] }: Call): Promise<StoreRequest> {
    const path = key === undefined ? base : base + encodePath(prefix + key)
    const length = body.reduce((sum, chunk) => sum + chunk.length, 0)
    const own: Record<string, string> = {
      ...headers,
      host: hostHeader(endpoint),
      // Over TLS nobody can change the bytes on the way; else the signature keeps them.
      'x-amz-content-sha256': endpoint.protocol === 'https:' && length > 0 ? unsigned : sha256(body),
      ...(userAgent !== undefined && { 'user-agent': userAgent }),
      ...((method === 'PUT' || method === 'POST') && { 'content-length': String(length) }),
    }
    const signed = await signer.sign({ endpoint, method, path, query, headers: own })
    return { endpoint, method, path: path + encodeQuery(query), headers: signed, body }
  }
  const send = (call: Call, sendOptions?: SendOptions) => transport.send(() => requestOf(call), sendOptions)
  const sendForText = (call: Call, sendOptions?: SendOptions) =>
    transport.sendForText(() => requestOf(call), sendOptions)

  async function* pages(query: Record<string, string>, next: (xml: string) => Record<string, string>) {
    for (let more: Record<string, string> = {}; ;) {
      const { text } = await sendForText({ method: 'GET', query: { ...query, 'encoding-type': 'url', ...more } })
      yield text
      if (tagOf(text, 'IsTruncated') !== 'true') return
      more = next(text)
    }
  }

  function keyIn(element: string, page: string, name = 'Key'): string {
    const text = tagOf(element, name) ?? ''
    const key = tagOf(page, 'EncodingType') === 'url' ? decodeURIComponent(text.replaceAll('+', ' ')) : text
    return key.slice(prefix.length)
  }

  const partQuery = ({ id }: Multipart, number: number) => ({ partNumber: String(number), uploadId: id })

  async function copyPart(upload: Multipart, number: number, from: string, range?: string): Promise<Part> {
    const headers = { 'x-amz-copy-source': sourceOf(from), ...(range && { 'x-amz-copy-source-range': range }) }
    const call = { method: 'PUT', key: upload.key, query: partQuery(upload, number), headers }
    const { text } = await sendForText(call, { slow: true })
    return { number, etag: tagOf(text, 'ETag') ?? '' }
  }

  const sourceOf = (key: string) => `/${bucket}/${encodePath(prefix + key)}`

  const store: ObjectStore = {
    limits: { parts: 10_000, leastPart: 5 << 20 },

    async head(key) {
      const answer = await send({ method: 'HEAD', key }, { expect: [404] })
      if (await isMissing(answer)) return undefined
      answer.resume()
      return factsOf(answer.headers, modifiedHeader)
    },

    async get(key, part) {
      const headers = part && { range: `bytes=${part.first}-${part.last}`, 'if-match': part.etag }
      const found = await transport.open(() => requestOf({ method: 'GET', key, ...(headers && { headers }) }), {
        isPart: part !== undefined,
      })
      return found && { ...factsOf(found.headers, modifiedHeader), body: found.body }
    },

    async put(key, body, modifiedAt) {
      const headers = { ...stored, ...(modifiedAt && { [modifiedHeader]: String(modifiedAt.getTime()) }) }
      await sendForText({ method: 'PUT', key, headers, body })
    },

    async copy(from, to, size) {
      if (size <= Math.min(multipartCopy.threshold, maxCopy)) {
        const headers = { ...stored, 'x-amz-copy-source': sourceOf(from) }
        await sendForText({ method: 'PUT', key: to, headers }, { slow: true })
        return
      }
      const upload = await store.begin(to)
      try {
        await store.complete(upload, await store.copyParts(upload, 1, from, size), size)
      } catch (error) {
        await store.abort(upload).catch(() => undefined) // the first error says more
        throw error
      }
    },

    async delete(keys) {
      if (keys.length === 1) return void (await sendForText({ method: 'DELETE', key: keys[0]! }, { expect: [404] }))
      for (let i = 0; i < keys.length; i += maxDeletes) {
        const objects = keys
          .slice(i, i + maxDeletes)
          .map((key) => `<Object><Key>${escape(prefix + key)}</Key></Object>`)
        const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects.join('')}</Delete>`)
        const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
        const { text } = await sendForText({ method: 'POST', query: { delete: '' }, headers, body: [body] })
        const [failed] = tagsOf(text, 'Error')
        if (failed !== undefined)
          throw new StoreError(`the store did not delete ${keyIn(failed, '')}: ${tagOf(failed, 'Code')}`)
      }
    },

    async *list(below, shallow = false) {
      const query = { 'list-type': '2', prefix: prefix + below, ...(shallow && { delimiter: '/' }) }
      const next = (xml: string) => ({ 'continuation-token': tagOf(xml, 'NextContinuationToken') ?? '' })
      for await (const page of pages(query, next)) {
        for (const item of tagsOf(page, 'Contents'))
          yield { key: keyIn(item, page), modifiedAt: new Date(tagOf(item, 'LastModified') ?? 0) }
        for (const item of tagsOf(page, 'CommonPrefixes'))
          yield { key: keyIn(item, page, 'Prefix').replace(/\/$/, ''), modifiedAt: undefined }
      }
    },

    async signedUrl(key) {
      const path = outside.base + encodePath(prefix + key)
      const headers = { host: hostHeader(outside.endpoint), 'x-amz-content-sha256': unsigned }
      const query = await signer.presign({ endpoint: outside.endpoint, method: 'GET', path, query: {}, headers })
      return `${outside.endpoint.protocol}//${headers.host}${path}${encodeQuery(query)}`
    },

    async begin(key) {
      const { text } = await sendForText({ method: 'POST', key, query: { uploads: '' }, headers: stored })
      return { key, id: tagOf(text, 'UploadId') ?? '' }
    },

    async putPart(upload, number, body) {
      const call = { method: 'PUT', key: upload.key, query: partQuery(upload, number), body }
      const { headers } = await sendForText(call)
      return { number, etag: headers.etag ?? '' }
    },

    async copyParts(upload, first, from, size) {
      if (size <= multipartCopy.size) return [await copyPart(upload, first, from)]
      // None is smaller than asked for, as only the last of an upload may be small; and one upload has 10,000 at most.
      const count = Math.min(9000, Math.floor(size / multipartCopy.size))
      const edge = (i: number) => Math.floor((size / count) * i)
      const numbers = Array.from({ length: count }, (_, i) => i)
      return each(numbers, multipartCopy.concurrency, (i) =>
        copyPart(upload, first + i, from, `bytes=${edge(i)}-${edge(i + 1) - 1}`),
      )
    },

    async complete({ key, id }, parts, size) {
      const list = parts.map(
        ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escape(etag)}</ETag></Part>`,
      )
      const body = [Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)]
      try {
        await sendForText({ method: 'POST', key, query: { uploadId: id }, body }, { slow: true })
      } catch (error) {
        // The answer to an attempt that worked may have been lost.
        if (!(error instanceof StoreError) || error.reason !== 'NoSuchUpload') throw error
        if ((await store.head(key))?.size !== size) throw error
      }
    },

    async abort({ key, id }) {
      await sendForText({ method: 'DELETE', key, query: { uploadId: id } }, { expect: [404] })
    },

    async *unfinished(below) {
      const next = (xml: string) => ({
        'key-marker': prefix + keyIn(xml, xml, 'NextKeyMarker'),
        'upload-id-marker': tagOf(xml, 'NextUploadIdMarker') ?? '',
      })
      for await (const page of pages({ uploads: '', prefix: prefix + below }, next))
        for (const item of tagsOf(page, 'Upload'))
          yield {
            key: keyIn(item, page),
            id: tagOf(item, 'UploadId') ?? '',
            begunAt: new Date(tagOf(item, 'Initiated') ?? 0),
          }
    },

    async check() {
      try {
        await sendForText({ method: 'GET', query: { 'list-type': '2', prefix: `${prefix}docker/`, 'max-keys': '1' } })
      } catch (error) {
        const { protocol, hostname, port } = endpoint
        const where = `bucket ${bucket} (region ${options.region}) at ${protocol}//${hostname}:${port}`
        throw explain(error, where, advice, 'check storage.s3.regionendpoint, the network and the store')
      }
    },
  }
  return store
}

/** Headers of everything that is stored. */
function storedHeaders({ encryption, storageClass, acl }: S3Options): Record<string, string> {
  const { keyId } = encryption ?? {}
  return {
    'content-type': 'application/octet-stream',
    ...(acl !== undefined && { 'x-amz-acl': acl }),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
    ...(encryption && { 'x-amz-server-side-encryption': keyId === undefined ? 'AES256' : 'aws:kms' }),
    ...(keyId !== undefined && { 'x-amz-server-side-encryption-aws-kms-key-id': keyId }),
  }
}

function sha256(body: Buffer[]): string {
  const hash = createHash('sha256')
  for (const chunk of body) hash.update(chunk)
  return hash.digest('hex')
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
