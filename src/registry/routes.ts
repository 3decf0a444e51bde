import type { Access } from '../auth/types.ts'
import { lengthOf, readBody } from '../http/body.ts'
import { namesEntity, parseContentRange, parseRange } from '../http/range.ts'
import type { ByteRange, Content, HttpReply, HttpRequest, Route } from '../http/types.ts'
import { reply, route } from '../http/types.ts'
import { algorithmOf, type Digest, digestOf, isDigest, parseAlgorithm, parseDigest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { isRepository, parseReference, parseRepository, parseTag } from '../oci/reference.ts'
import { linkTo } from './lists.ts'
import { ask } from './ports/guard.ts'
import type { ManifestPush, Page, StoredManifest } from './ports/metadata.ts'
import { actorOf, type Registry } from './registry.ts'
import { type Chunk, uploadHeaders } from './uploads.ts'

type InRepository<More extends string = never> = HttpRequest<Record<'repository' | More, string>>

const maxManifestBytes = 4 << 20
// The specification asks for at least ten; a bound keeps one request one small transaction.
const maxTags = 50

/** The endpoints of the distribution specification in the order of its table, then Docker's catalog. */
export function registryRoutes(registry: Registry): Route[] {
  const { blobs, uploads, manifests, lists, guards, access, metadata, onPull, onManifestPull } = registry
  return [
    route('GET HEAD', '/v2/', api, async () => json('{}')), // end-1
    route('GET HEAD', '/v2', api, async () => json('{}')),
    route('GET HEAD', '/v2/:repository+/manifests/:reference', pull, getManifest), // end-3
    route('GET HEAD', '/v2/:repository+/blobs/:digest', pull, getBlob), // end-2
    route('POST', '/v2/:repository+/blobs/uploads/', push, startUpload), // end-4, end-11
    route('POST', '/v2/:repository+/blobs/uploads', push, startUpload),
    route('PATCH', '/v2/:repository+/blobs/uploads/:id', push, appendChunk), // end-5
    route('PUT', '/v2/:repository+/blobs/uploads/:id', push, finishUpload), // end-6
    route('GET HEAD', '/v2/:repository+/blobs/uploads/:id', push, getUpload), // end-13
    route('DELETE', '/v2/:repository+/blobs/uploads/:id', push, cancelUpload), // end-14
    route('PUT', '/v2/:repository+/manifests/:reference', push, putManifest), // end-7
    route('GET HEAD', '/v2/:repository+/tags/list', pull, listTags), // end-8
    route('DELETE', '/v2/:repository+/manifests/:reference', remove, deleteManifest), // end-9
    route('DELETE', '/v2/:repository+/blobs/:digest', remove, deleteBlob), // end-10
    route('GET HEAD', '/v2/:repository+/referrers/:digest', pull, listReferrers), // end-12
    route('GET HEAD', '/v2/_catalog', catalog, listRepositories),
    route('GET HEAD', '/v2/_oci/ext/discover', api, async () => json(extensions)),
  ]

  async function getManifest(request: InRepository<'reference'>): Promise<HttpReply> {
    const { repository } = request.params
    const reference = parseReference(request.params.reference, 'MANIFEST_UNKNOWN')
    if (guards.length > 0) await ask(guards, 'beforePull', { repository, reference, principal: request.principal })
    const manifest = await manifests.get(repository, reference)
    if (namesEntity(request.headers['if-none-match'], manifest.digest)) return notModified(manifest.digest)
    onManifestPull?.(repository, manifest.digest)
    if (onPull) {
      const { content, ...rest } = manifest
      const tag = 'tag' in reference ? reference.tag : undefined
      onPull({ type: 'manifest.pulled', repository, ...rest, size: content.length, tag }, actorOf(request))
    }
    return manifestReply(manifest)
  }

  async function getBlob(request: InRepository<'digest'>): Promise<HttpReply> {
    const { repository } = request.params
    const digest = parseDigest(request.params.digest)
    await ask(guards, 'beforePull', { repository, reference: { digest }, principal: request.principal })
    const { 'if-none-match': known, 'if-range': ifRange, range: header } = request.headers
    const unchanged = namesEntity(known, digest)
    if (unchanged || request.method === 'HEAD') {
      const { size } = await blobs.stat(repository, digest)
      if (!unchanged) onPull?.({ type: 'blob.pulled', repository, digest, size }, actorOf(request))
      return unchanged ? notModified(digest) : blobReply(digest, size)
    }
    const content = await blobs.open(repository, digest)
    const { size } = content
    onPull?.({ type: 'blob.pulled', repository, digest, size }, actorOf(request))
    if (content.location) return reply(307, { ...entityHeaders(digest), Location: content.location })
    const range = parseRange(ifRange === undefined || ifRange === `"${digest}"` ? header : undefined, size)
    if (range !== 'unsatisfiable' && size > 0) return blobReply(digest, size, content, range)
    await content.close()
    if (range === 'whole') return blobReply(digest, 0)
    throw new OciError('RANGE_INVALID', { headers: { 'Content-Range': `bytes */${size}` } })
  }

  async function startUpload(request: InRepository): Promise<HttpReply> {
    const { query, principal } = request
    const { repository } = request.params
    const mount = query.get('mount')
    if (mount && isDigest(mount)) {
      const sources = await mountSources(request, mount)
      if (await blobs.mount(repository, mount, sources, actorOf(request))) return blobCreated(repository, mount)
    }
    await ask(guards, 'beforeUpload', { repository, principal })
    const digest = query.has('digest') ? parseDigest(query.get('digest')!) : undefined
    const isEmpty = () => digest === digestOf(Buffer.alloc(0), algorithmOf(digest!))
    if (digest && !mount && (lengthOf(request.headers) !== 0 || isEmpty())) {
      await uploads.push(repository, digest, chunkOf(request), actorOf(request))
      return blobCreated(repository, digest)
    }
    const algorithm = parseAlgorithm(query.get('digest-algorithm') ?? 'sha256')
    const upload = await uploads.start(repository, actorOf(request), algorithm)
    return reply(202, uploadHeaders(upload, 0))
  }

  /** Repositories to mount from: `from`, or without it every one that holds the blob; in both cases only where the caller may pull. */
  async function mountSources({ query, principal }: InRepository, digest: Digest): Promise<string[]> {
    const from = query.get('from')
    const sources = from === null ? await metadata.blobs.repositoriesOf(digest) : isRepository(from) ? [from] : []
    if (!access) return sources
    const allowed = await Promise.all(
      sources.map((name) => access.allows(principal, { type: 'repository', name, action: 'pull' })),
    )
    return sources.filter((_, index) => allowed[index])
  }

  async function appendChunk(request: InRepository<'id'>): Promise<HttpReply> {
    const upload = await uploads.find(request.params.repository, request.params.id, actorOf(request))
    const size = await uploads.append(upload, chunkOf(request))
    return reply(202, uploadHeaders(upload, size))
  }

  async function finishUpload(request: InRepository<'id'>): Promise<HttpReply> {
    const { repository, id } = request.params
    const upload = await uploads.find(repository, id, actorOf(request))
    const text = request.query.get('digest')
    if (!text)
      throw new OciError('DIGEST_INVALID', { message: 'the digest is missing: close the upload with ?digest=sha256:…' })
    const digest = parseDigest(text)
    await uploads.finish(upload, digest, chunkOf(request), actorOf(request))
    return blobCreated(repository, digest)
  }

  async function getUpload(request: InRepository<'id'>): Promise<HttpReply> {
    const upload = await uploads.find(request.params.repository, request.params.id, actorOf(request))
    return reply(204, uploadHeaders(upload, await uploads.sizeOf(upload)))
  }

  async function cancelUpload(request: InRepository<'id'>): Promise<HttpReply> {
    const upload = await uploads.find(request.params.repository, request.params.id, actorOf(request))
    await uploads.cancel(upload)
    return reply(204, { 'Docker-Upload-UUID': upload.id })
  }

  async function putManifest(request: InRepository<'reference'>): Promise<HttpReply> {
    const { query, headers, principal } = request
    const { repository } = request.params
    const reference = parseReference(request.params.reference)
    const more = [...new Set(query.getAll('tag').map((tag) => parseTag(tag)))]
    if (more.length > maxTags)
      throw new OciError('TAG_INVALID', { status: 414, message: `at most ${maxTags} tags in one push` })
    if (headers['content-encoding'] !== undefined)
      throw new OciError('MANIFEST_INVALID', { status: 415, message: 'send manifests without Content-Encoding' })
    const given =
      'digest' in reference ? reference.digest : query.has('digest') ? parseDigest(query.get('digest')!) : undefined
    const tags = 'tag' in reference ? [reference.tag] : more
    const contentType = headers['content-type']?.split(';', 1)[0]!.trim() || undefined
    const content = await readBody(request, maxManifestBytes)
    const { digest, subject } = await manifests.push(
      { repository, content, contentType, digest: given, tags, expects: expectedTag(headers) },
      actorOf(request),
      (pushed, manifest) => ask(guards, 'beforePush', { repository, tags, digest: pushed, manifest, principal }),
    )
    return reply(201, {
      Location: `/v2/${repository}/manifests/${digest}`,
      'Docker-Content-Digest': digest,
      ...(subject && { 'OCI-Subject': subject }),
      ...('digest' in reference && tags.length > 0 && { 'OCI-Tag': tags.join(', ') }),
    })
  }

  async function deleteManifest(request: InRepository<'reference'>): Promise<HttpReply> {
    const { repository } = request.params
    const reference = parseReference(request.params.reference)
    await ask(guards, 'beforeDelete', { repository, target: reference, principal: request.principal })
    await manifests.remove(repository, reference, actorOf(request))
    return reply(202)
  }

  async function deleteBlob(request: InRepository<'digest'>): Promise<HttpReply> {
    const { repository } = request.params
    const digest = parseDigest(request.params.digest)
    await ask(guards, 'beforeDelete', { repository, target: { blob: digest }, principal: request.principal })
    await blobs.remove(repository, digest, actorOf(request))
    return reply(202, { 'Docker-Content-Digest': digest })
  }

  async function listTags(request: InRepository): Promise<HttpReply> {
    const { items, next } = await lists.tags(request.params.repository, request.query)
    return json(JSON.stringify({ name: request.params.repository, tags: items }), linkTo(next, request))
  }

  async function listRepositories(request: HttpRequest<unknown>): Promise<HttpReply> {
    const readable = (page: Page) => access!.readable(request.principal, page, metadata.repositories.list)
    const isOpen = await access?.isOpen()
    const { items, next } = await lists.repositories(request.query, isOpen === false ? readable : undefined)
    return json(JSON.stringify({ repositories: items }), linkTo(next, request))
  }

  async function listReferrers(request: InRepository<'digest'>): Promise<HttpReply> {
    const { params, query } = request
    const { index, next } = await lists.referrers(params.repository, parseDigest(params.digest), query)
    return json(index, {
      'Content-Type': mediaTypes.index,
      ...(query.getAll('artifactType').some(Boolean) && { 'OCI-Filters-Applied': 'artifactType' }),
      ...linkTo(next, request),
    })
  }
}

const extensions = `{"extensions":[{"name":"_oci","url":"https://github.com/opencontainers/distribution-spec","description":"discovery of extensions","endpoints":["_oci/ext/discover","_catalog"]}]}`

// What a route needs. A name that breaks the grammar is refused here, before anything is looked up.
const api = (): Access[] => [{ type: 'registry', name: 'api', action: 'pull' }]
const catalog = (): Access[] => [{ type: 'registry', name: 'catalog', action: '*' }]
const needs =
  (...actions: ('pull' | 'push' | 'delete')[]) =>
  ({ params }: InRepository): Access[] => {
    const name = parseRepository(params.repository)
    return actions.map((action) => ({ type: 'repository', name, action }))
  }
const [pull, push, remove] = [needs('pull'), needs('pull', 'push'), needs('delete')]

function chunkOf(request: HttpRequest<unknown>): Chunk {
  const header = request.headers['content-range']
  const range = header === undefined ? undefined : parseContentRange(header)
  if (header !== undefined && !range) {
    throw new OciError('SIZE_INVALID', { message: 'Content-Range must have the form <first byte>-<last byte>' })
  }
  return { source: request.body(), length: lengthOf(request.headers), range }
}

/** What `If-Match` and `If-None-Match: *` ask of the tag that is pushed. */
function expectedTag(headers: HttpRequest['headers']): ManifestPush['expects'] {
  if (headers['if-none-match'] === '*') return 'absent'
  const match = headers['if-match']
  return match === undefined ? undefined : { digests: match.split(',').map((item) => item.trim().replaceAll('"', '')) }
}

function entityHeaders(digest: Digest): Record<string, string> {
  return { 'Docker-Content-Digest': digest, ETag: `"${digest}"` }
}

// A manifest that stays in memory is answered by the same reply each time.
const manifestReplies = new WeakMap<StoredManifest, HttpReply>()

function manifestReply(manifest: StoredManifest): HttpReply {
  const known = manifestReplies.get(manifest)
  if (known) return known
  const headers = { ...entityHeaders(manifest.digest), 'Content-Type': manifest.mediaType, 'Cache-Control': 'no-cache' }
  const made = reply(200, headers, manifest.content)
  manifestReplies.set(manifest, made)
  return made
}

/** The whole blob, or with `range` a part of it; without `content` only what is known about it. */
function blobReply(digest: Digest, size: number, content?: Content, range: ByteRange | 'whole' = 'whole'): HttpReply {
  const { first, last } = range === 'whole' ? { first: 0, last: size - 1 } : range
  const headers = {
    ...entityHeaders(digest),
    'Content-Type': mediaTypes.octets,
    'Content-Length': String(last - first + 1),
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'max-age=31536000',
    ...(range !== 'whole' && { 'Content-Range': `bytes ${first}-${last}/${size}` }),
  }
  return reply(range === 'whole' ? 200 : 206, headers, content && { content, range: { first, last } })
}

function notModified(digest: Digest): HttpReply {
  return reply(304, entityHeaders(digest))
}

function blobCreated(repository: string, digest: Digest): HttpReply {
  return reply(201, { Location: `/v2/${repository}/blobs/${digest}`, 'Docker-Content-Digest': digest })
}

function json(body: string, headers: Record<string, string> = {}): HttpReply {
  return reply(200, { 'Content-Type': 'application/json', ...headers }, body)
}
