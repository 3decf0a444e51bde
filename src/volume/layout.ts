import { type Algorithm, algorithmOf, type Digest, digestOf, hexOf, isDigest } from '../oci/digest.ts'
import { isRepository } from '../oci/reference.ts'

// registry:2's tree of links, below the root of the storage:
//
//   docker/registry/v2/repositories/<name…>/
//     _layers/<algorithm>/<hex>/link                        a blob this repository may serve
//     _manifests/revisions/<algorithm>/<hex>/link           a manifest this repository may serve
//     _manifests/tags/<tag>/index/<algorithm>/<hex>/link    a digest the tag pointed to since it was last deleted
//     _manifests/tags/<tag>/current/link                    the digest it points to
//
// A link holds a digest and nothing else, not even a newline. Components of names may not begin with "_".

export const algorithms: Algorithm[] = ['sha256', 'sha512']
export const blobsPath = 'docker/registry/v2/blobs'
export const repositoriesPath = 'docker/registry/v2/repositories'

export const layersPath = (repository: string) => `${repositoriesPath}/${repository}/_layers`
export const manifestsPath = (repository: string) => `${repositoriesPath}/${repository}/_manifests`
export const revisionsPath = (repository: string) => `${manifestsPath(repository)}/revisions`
export const tagsPath = (repository: string) => `${manifestsPath(repository)}/tags`
export const tagPath = (repository: string, tag: string) => `${tagsPath(repository)}/${tag}`

export const layerLink = (repository: string, digest: Digest) => `${layersPath(repository)}/${below(digest)}/link`
export const revisionLink = (repository: string, digest: Digest) => `${revisionsPath(repository)}/${below(digest)}/link`
export const currentLink = (repository: string, tag: string) => `${tagPath(repository, tag)}/current/link`
export const indexLink = (repository: string, tag: string, digest: Digest) =>
  `${tagPath(repository, tag)}/index/${below(digest)}/link`

function below(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`
}

/** The digest in a link; undefined when there is none. White space around it is borne: registry:2 3.x is not so kind. */
export function parseLink(content: Uint8Array | undefined): Digest | undefined {
  const text = content && content.length < 1000 ? Buffer.from(content).toString('latin1').trim() : ''
  return isDigest(text) ? text : undefined
}

/** The digest a folder in `_layers` or `revisions` is named after. */
export function digestIn(algorithm: Algorithm, name: string): Digest | undefined {
  const text = `${algorithm}:${name}`
  return isDigest(text) ? text : undefined
}

/** Whether a folder in `tags` can be a tag. */
export function isTag(name: string): boolean {
  return /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/.test(name)
}

/** Whether a folder can be a repository, or hold one. */
export function mayHoldRepository(name: string): boolean {
  return isRepository(name)
}

/** Whether content of no bytes is what the digest names. */
export const isEmptyDigest = (digest: Digest) =>
  digest === digestOf(Buffer.alloc(0)) || digest === digestOf(Buffer.alloc(0), 'sha512')
