import { createHash, hash as hashOnce } from 'node:crypto'
import { OciError } from './errors.ts'

export type Algorithm = 'sha256' | 'sha512'

/** `algorithm:hex` of content, in the only spelling that names it: lower case and full length. */
export type Digest = `${Algorithm}:${string}`

const grammar = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

export function isDigest(text: string): text is Digest {
  return text.length <= 135 && grammar.test(text)
}

/** @throws OciError DIGEST_INVALID for anything but a sha256 or sha512 digest. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new OciError('DIGEST_INVALID', {
    message: 'invalid digest: expected sha256:<64 hex digits> or sha512:<128 hex digits> in lower case',
  })
}

/** @throws OciError DIGEST_INVALID for an algorithm other than sha256 and sha512. */
export function parseAlgorithm(text: string): Algorithm {
  if (text === 'sha256' || text === 'sha512') return text
  throw new OciError('DIGEST_INVALID', { message: 'unsupported digest algorithm: use sha256 or sha512' })
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512'
}

export function hexOf(digest: Digest): string {
  return digest.slice(7)
}

export function digestOf(content: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${hashOnce(algorithm, content, 'hex')}`
}

/** Computes a digest piece by piece; `digest()` may be asked at any moment, and more pieces may follow. */
export interface Digester {
  readonly algorithm: Algorithm
  update(chunk: Uint8Array): void
  digest(): Digest
}

export function createDigester(algorithm: Algorithm): Digester {
  const hash = createHash(algorithm)
  return {
    algorithm,
    update: (chunk) => void hash.update(chunk),
    digest: () => `${algorithm}:${hash.copy().digest('hex')}`,
  }
}
