import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/**
 * What a request is called in answers, in the log and in the audit log: the client's own `X-Request-Id` if it is harmless, or a new one,
 * which is put in its place, so that all who ask get the same.
 */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id']
  if (typeof given === 'string' && /^[\w-]{1,64}$/.test(given)) return given
  return (headers['x-request-id'] = randomUUID())
}
