import { OciError } from './errors.ts'

/** A JSON value read strictly. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

const maxDepth = 64
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads JSON so that no two readers can understand it differently: refuses duplicate keys, invalid UTF-8, a byte order
 * mark, integers that a double cannot hold or that are written like `2.0`, and nesting deeper than 64. JSON.parse keeps the
 * last duplicate and rounds in silence.
 * @throws OciError MANIFEST_INVALID
 */
export function parseStrictJson(content: Uint8Array): Json {
  const text = decode(content)
  const value = parse(text) // first: only in what is JSON do the strings below end where they seem to
  const outline = text.replace(/"(?:[^"\\]|\\.)*"/g, '') // without its strings a document shows its structure
  if (depthOf(outline) > maxDepth) invalid(`nesting deeper than ${maxDepth}`)
  for (const [number] of outline.matchAll(/-?\d+[.eE][\d.eE+-]*|-?\d{16,}/g)) checkNumber(number)
  // Each member has its colon, but JSON.parse keeps only one of those with the same key.
  if (outline.split(':').length - 1 !== membersOf(value)) invalid('duplicate key')
  return value
}

function parse(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return invalid('the manifest is not JSON')
  }
}

function depthOf(outline: string): number {
  let depth = 0
  let deepest = 0
  for (const [bracket] of outline.matchAll(/[[\]{}]/g)) {
    depth += bracket === '{' || bracket === '[' ? 1 : -1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}

function checkNumber(text: string): void {
  const value = Number(text)
  if (!Number.isFinite(value)) invalid('number out of range')
  if (Number.isInteger(value) && !(Number.isSafeInteger(value) && /^-?\d+$/.test(text))) invalid('integer not exact')
}

function membersOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0
  const own = Array.isArray(value) ? 0 : Object.keys(value).length
  return Object.values(value).reduce((sum: number, item) => sum + membersOf(item), own)
}

function decode(content: Uint8Array): string {
  try {
    return decoder.decode(content)
  } catch {
    return invalid('the manifest is not UTF-8')
  }
}

/** @throws OciError MANIFEST_INVALID with the problem */
export function invalid(problem: string): never {
  throw new OciError('MANIFEST_INVALID', { message: problem })
}
