import type { Socket } from 'node:net'
import { OciError } from '../oci/errors.ts'

// Node takes the first of these in silence where a proxy before us may take the last.
const decisive = new Map([
  ['host', 'REQUEST_INVALID'],
  ['authorization', 'UNAUTHORIZED'],
  ['content-type', 'MANIFEST_INVALID'],
  ['content-range', 'RANGE_INVALID'],
  ['range', 'RANGE_INVALID'],
] as const)

/** @throws OciError (400) when a header that decides about the request stands there twice. */
export function refuseDoubleHeaders(rawHeaders: string[]): void {
  let seen = ''
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const code = decisive.get(name as 'host')
    if (!code) continue
    if (seen.includes(`;${name};`))
      throw new OciError(code, { status: 400, message: `the header ${name} is there twice` })
    seen += `;${name};`
  }
}

/** Turns whatever was thrown into an answer; what is not the client's doing is reported, and its text kept from the client. */
export function toOciError(error: unknown, report: (error: unknown) => void): OciError {
  if (error instanceof OciError) return error
  report(error)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new OciError('UNAVAILABLE', {
        status: 507,
        message: 'the registry is out of disk space: free some or ask its operator',
      })
    case 'EAGAIN': // the database is away
    case 'EMFILE':
    case 'ENFILE':
      return new OciError('UNAVAILABLE', { headers: { 'Retry-After': '1' } })
    default:
      return new OciError('UNKNOWN')
  }
}

const refusals: Record<string, readonly [string, 'REQUEST_INVALID' | 'UNSUPPORTED']> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'REQUEST_INVALID'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'REQUEST_INVALID'],
  HPE_INVALID_METHOD: ['400 Bad Request', 'UNSUPPORTED'],
}

/** Answers what the HTTP parser refused, so that a client learns why before the connection closes. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesRead === 0) return void socket.destroy()
  const [statusLine, code] = refusals[error.code ?? ''] ?? (['400 Bad Request', 'REQUEST_INVALID'] as const)
  const body = new OciError(code, { message: `cannot read the request: ${statusLine.slice(4).toLowerCase()}` }).toJson()
  socket.end(
    `HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}
