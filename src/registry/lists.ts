import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { HttpRequest } from '../http/types.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Page } from './ports/metadata.ts'
import type { RegistryPorts } from './ports/ports.ts'

/** A part of a list, and the `last` that asks for the next part when there is one. */
export interface Listed {
  items: string[]
  next: string | undefined
}

const usualRepositories = 100
const maxReferrers = 1000
// Clients read at most 4 MiB of an index.
const maxIndexBytes = 4_000_000

/** Lists in byte order, a keyset page at a time: a deep page costs what the first one does. */
export function createLists({ metadata, lists }: Pick<RegistryPorts, 'metadata' | 'lists'>) {
  const { catalogMax, tagsMax } = lists ?? { catalogMax: 1000, tagsMax: 10_000 }

  /** end-8 @throws OciError NAME_UNKNOWN, PAGINATION_NUMBER_INVALID */
  async function tags(repository: string, query: URLSearchParams): Promise<Listed> {
    return paged(query, { max: tagsMax }, async (page) => {
      const found = await metadata.tags.list(repository, page)
      if (!found) throw new OciError('NAME_UNKNOWN', { detail: { name: repository } })
      return found
    })
  }

  /** Docker's `_catalog`; `readable` gives a page of what the caller may read. @throws OciError PAGINATION_NUMBER_INVALID */
  async function repositories(query: URLSearchParams, readable?: (page: Page) => Promise<Listed>): Promise<Listed> {
    const limits = { usual: usualRepositories, max: catalogMax }
    if (readable) return readable({ limit: limitOf(query, limits), last: query.get('last') ?? undefined })
    return paged(query, limits, (page) => metadata.repositories.list(page))
  }

  /**
   * end-12: an index of the manifests with this subject, always there. Every manifest with a `subject` is known when it is
   * pushed, also by clients that list it under a fallback tag, so such a tag adds nothing more.
   */
  async function referrers(
    repository: string,
    subject: Digest,
    query: URLSearchParams,
  ): Promise<{ index: string; next: string | undefined }> {
    const types = query.getAll('artifactType').filter((type) => type !== '')
    const last = query.get('last') ?? undefined
    const page = { limit: limitOf(query, { max: maxReferrers }), last, bytes: maxIndexBytes }
    const { descriptors, next } = await metadata.manifests.referrers(repository, subject, types, page)
    return { index: `{"schemaVersion":2,"mediaType":"${mediaTypes.index}","manifests":[${descriptors}]}`, next }
  }

  return { tags, repositories, referrers }
}

/** How many entries a page has when the client does not say, and at most. */
interface Limits {
  usual?: number
  max: number
}

async function paged(query: URLSearchParams, limits: Limits, read: (page: Page) => Promise<string[]>): Promise<Listed> {
  const limit = limitOf(query, limits)
  const items = await read({ limit: limit + 1, last: query.get('last') ?? undefined })
  return { items: items.slice(0, limit), next: items.length > limit ? items[limit - 1] : undefined }
}

function limitOf(query: URLSearchParams, { usual, max }: Limits): number {
  const n = query.get('n')
  if (n !== null && !/^\d+$/.test(n)) throw new OciError('PAGINATION_NUMBER_INVALID')
  return Math.min(n === null ? (usual ?? max) : Number(n), max)
}

/** The `Link` header (RFC 8288) to the next page of this request, relative so that it survives every proxy; none on the last page. */
export function linkTo(next: string | undefined, request: HttpRequest<unknown>): Record<string, string> {
  if (next === undefined) return {}
  const query = new URLSearchParams(request.query)
  query.set('last', next)
  return { Link: `<${request.path}?${query}>; rel="next"` }
}
