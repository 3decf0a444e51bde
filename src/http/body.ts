import { finished } from 'node:stream'
import { OciError } from '../oci/errors.ts'
import type { HttpRequest } from './types.ts'

const maxChunks = 1000

/**
 * Reads a whole body of at most `limit` bytes; the declared length is refused before a byte is read.
 * @throws OciError SIZE_INVALID (413)
 */
export async function readBody(request: HttpRequest<unknown>, limit: number): Promise<Buffer> {
  const tooLarge = { status: 413, message: `the body is larger than ${limit} bytes` }
  if (Number(request.headers['content-length'] ?? 0) > limit) throw new OciError('SIZE_INVALID', tooLarge)
  const body = request.body()
  const blocks: Buffer[] = []
  let chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    // Not by iteration: that keeps the stream paused, and who sends nothing would be taken for somebody who waits for us.
    body.on('data', (chunk: Buffer) => {
      if ((size += chunk.length) > limit) return reject(new OciError('SIZE_INVALID', tooLarge))
      chunks.push(chunk)
      if (chunks.length < maxChunks) return
      blocks.push(Buffer.concat(chunks)) // a body of single bytes would cost hundreds of times its size
      chunks = []
    })
    finished(body, { writable: false }, (error) =>
      error ? reject(error) : resolve(Buffer.concat([...blocks, ...chunks], size)),
    )
  })
}

/** Declared length of a body; undefined when it is streamed in pieces. */
export function lengthOf(headers: HttpRequest['headers']): number | undefined {
  const length = headers['content-length']
  if (length !== undefined) return Number(length)
  return headers['transfer-encoding'] === undefined ? 0 : undefined
}
