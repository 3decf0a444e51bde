import { OciError } from './errors.ts'

/** A JSON value read strictly. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

const maxDepth = 64

/**
 * Reads JSON so that no two readers can understand it differently: refuses duplicate keys, invalid UTF-8, a byte order
 * mark, integers a double cannot hold and nesting deeper than 64. JSON.parse keeps the last duplicate and rounds in silence.
 * @throws OciError MANIFEST_INVALID
 */
export function parseStrictJson(content: Uint8Array): Json {
  const text = decode(content)
  const outline = text.replace(/"(?:[^"\\]|\\.)*"/gs, '') // without its strings a document shows its structure
  if (depthOf(outline) > maxDepth) invalid(`nesting deeper than ${maxDepth}`)
  let members = 0
  const value = parse(text, (holder, value) => {
    if (!Array.isArray(holder)) members++
    if (typeof value !== 'number') return
    if (!Number.isFinite(value)) invalid('number out of range')
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) invalid('integer out of range')
  })
  // Each member has its colon, but JSON.parse keeps only one of those with the same key. The document itself counts as one.
  if (outline.split(':').length !== members) invalid('duplicate key')
  return value
}

function parse(text: string, visit: (holder: unknown, value: unknown) => void): Json {
  try {
    return JSON.parse(text, function (this: unknown, _key, value) {
      visit(this, value)
      return value
    })
  } catch (cause) {
    if (cause instanceof OciError) throw cause
    throw new OciError('MANIFEST_INVALID', { message: 'manifest invalid: not JSON', cause })
  }
}

function depthOf(outline: string): number {
  let depth = 0
  let deepest = 0
  for (const bracket of outline.match(/[[\]{}]/g) ?? []) {
    depth += bracket === '{' || bracket === '[' ? 1 : -1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}

function decode(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch (cause) {
    throw new OciError('MANIFEST_INVALID', { message: 'manifest invalid: not UTF-8', cause })
  }
}

function invalid(problem: string): never {
  throw new OciError('MANIFEST_INVALID', { message: `manifest invalid: ${problem}` })
}
