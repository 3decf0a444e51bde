import type { Socket } from 'node:net'
import { OciError } from '../oci/errors.ts'

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
