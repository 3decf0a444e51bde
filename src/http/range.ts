import type { ByteRange } from './types.ts'

/**
 * Reads a `Range` header against content of `size` bytes (RFC 9110 14.2). Gives the range to send with 206, 'whole' where the
 * header is to be ignored (other units, several ranges, not a range at all), or 'unsatisfiable' for 416. `5-2` counts as
 * unsatisfiable, as the conformance suite asks, where the RFC would let it be ignored.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const match = header === undefined ? null : /^bytes=(\d*)-(\d*)$/.exec(header)
  if (!match || (match[1] === '' && match[2] === '')) return 'whole'
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size)
    return length > 0 ? { first: size - length, last: size - 1 } : 'unsatisfiable'
  }
  const first = Number(match[1])
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1)
  return first < size && first <= last ? { first, last } : 'unsatisfiable'
}

/**
 * Reads the `Content-Range` of a chunk, `<first>-<last>` without unit (distribution-spec, pushing a blob in chunks).
 * Undefined when it has any other form.
 */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(header)
  if (!match) return undefined
  const [first, last] = [Number(match[1]), Number(match[2])]
  return first <= last ? { first, last } : undefined
}

/** Whether `If-None-Match` names this entity tag: quoted, bare, weak, in a list, or `*` (RFC 9110 13.1.2). */
export function namesEntity(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((item) => {
    const name = item.trim().replace(/^W\//, '').replaceAll('"', '')
    return name === '*' || name === tag
  })
}
