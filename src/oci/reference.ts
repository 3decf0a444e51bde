import { type Digest, parseDigest } from './digest.ts'
import { OciError } from './errors.ts'

/** What follows `manifests/` in a request: a mutable name or a digest. */
export type Reference = { tag: string } | { digest: Digest }

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const repositoryGrammar = new RegExp(`^${component}(?:/${component})*$`)
const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
// Clients read 64 hex digits as an image id, so such a repository could never be pulled again.
const imageId = /^[a-f0-9]{64}$/

/**
 * A repository name: at most 255 characters, components of lower-case letters and digits joined by `.`, `_`, `__` or dashes.
 * @throws OciError NAME_INVALID
 */
export function parseRepository(text: string): string {
  if (isRepository(text)) return text
  throw new OciError('NAME_INVALID', {
    message:
      'invalid repository name: use at most 255 lower-case letters, digits and separators ("." "_" "__" "-"), parts joined by "/"',
  })
}

export function isRepository(text: string): boolean {
  return text.length <= 255 && repositoryGrammar.test(text) && !imageId.test(text)
}

/** @throws OciError TAG_INVALID, or the code given for who only looks: what cannot exist is simply not there */
export function parseTag(text: string, otherwise: 'TAG_INVALID' | 'MANIFEST_UNKNOWN' = 'TAG_INVALID'): string {
  if (tagGrammar.test(text)) return text
  throw new OciError(otherwise)
}

/** @throws OciError DIGEST_INVALID, or as parseTag does; no tag holds a colon, every digest does. */
export function parseReference(text: string, otherwise?: 'MANIFEST_UNKNOWN'): Reference {
  if (text === '') throw new OciError('MANIFEST_INVALID', { message: 'the tag or digest is missing' })
  return text.includes(':') ? { digest: parseDigest(text) } : { tag: parseTag(text, otherwise) }
}
