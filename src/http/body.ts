import { OciError } from '../oci/errors.ts'
import type { HttpRequest } from './types.ts'

const maxChunks = 1000

/**
 * Reads a whole body of at most `limit` bytes; the declared length is refused before a byte is read.
 * @throws OciError SIZE_INVALID (413)
 */
export async function readBody(request: HttpRequest<unknown>, limit: number): Promise<Buffer> {
  const tooLarge = () =>
    new OciError('SIZE_INVALID', { status: 413, message: `the body is larger than ${limit} bytes` })
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const blocks: Buffer[] = []
  let chunks: Buffer[] = []
  let size = 0
  // Leaving the loop must not destroy the request: its connection still carries the answer.
  for await (const chunk of request.body().iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw tooLarge()
    chunks.push(chunk)
    if (chunks.length < maxChunks) continue
    blocks.push(Buffer.concat(chunks)) // a body of single bytes would cost hundreds of times its size
    chunks = []
  }
  return blocks.length === 0 && chunks.length === 1 ? chunks[0]! : Buffer.concat([...blocks, ...chunks], size)
}

/** Declared length of a body; undefined when it is streamed in pieces. */
export function lengthOf(headers: HttpRequest['headers']): number | undefined {
  const length = headers['content-length']
  if (length !== undefined) return Number(length)
  return headers['transfer-encoding'] === undefined ? 0 : undefined
}
