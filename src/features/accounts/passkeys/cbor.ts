/** What is read of CBOR. */
export type Cbor = number | boolean | null | string | Buffer | Cbor[] | Map<Cbor, Cbor>

const maxDepth = 8

/**
 * Reads one item of CBOR (RFC 8949) in the form that authenticators must use (CTAP2 canonical form): lengths are definite, keys stand there once, and
 * there are no tags and fractions. Gives where it ends.
 * @throws Error when it is anything else
 */
export function readCbor(bytes: Buffer, start = 0, depth = 0): { value: Cbor; end: number } {
  if (depth > maxDepth) throw new Error('too deep')
  const first = byteAt(bytes, start)
  const [kind, low] = [first >> 5, first & 31]
  if (kind === 7) {
    if (low < 20 || low > 22) throw new Error('no such simple value')
    return { value: low === 22 ? null : low === 21, end: start + 1 }
  }
  const { count, end } = readCount(bytes, start + 1, low)
  switch (kind) {
    case 0:
      return { value: count, end }
    case 1:
      return { value: -1 - count, end }
    case 2:
      return { value: slice(bytes, end, count), end: end + count }
    case 3:
      return { value: slice(bytes, end, count).toString(), end: end + count }
    case 4:
      return readList(bytes, end, count, depth)
    case 5:
      return readMap(bytes, end, count, depth)
    default:
      throw new Error('tags are not expected')
  }
}

function readCount(bytes: Buffer, start: number, low: number): { count: number; end: number } {
  if (low < 24) return { count: low, end: start }
  const length = [1, 2, 4][low - 24]
  if (length === undefined) throw new Error('no such length')
  return { count: slice(bytes, start, length).readUIntBE(0, length), end: start + length }
}

function readList(bytes: Buffer, start: number, count: number, depth: number) {
  const items: Cbor[] = []
  let end = start
  for (let i = 0; i < count; i++) {
    const item = readCbor(bytes, end, depth + 1)
    items.push(item.value)
    end = item.end
  }
  return { value: items, end }
}

function readMap(bytes: Buffer, start: number, count: number, depth: number) {
  const map = new Map<Cbor, Cbor>()
  let end = start
  for (let i = 0; i < count; i++) {
    const key = readCbor(bytes, end, depth + 1)
    const item = readCbor(bytes, key.end, depth + 1)
    if (typeof key.value === 'object' || map.has(key.value)) throw new Error('no such key, or twice')
    map.set(key.value, item.value)
    end = item.end
  }
  return { value: map, end }
}

function slice(bytes: Buffer, start: number, length: number): Buffer {
  if (start + length > bytes.length) throw new Error('cut short')
  return bytes.subarray(start, start + length)
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new Error('cut short')
  return byte
}
