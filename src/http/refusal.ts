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
    case 'EAGAIN': // the database or the object store is away
    case 'EMFILE':
    case 'ENFILE':
      return new OciError('UNAVAILABLE', { headers: { 'Retry-After': '1' } })
    default:
      return new OciError('UNKNOWN')
  }
}
