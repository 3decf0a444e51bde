import { OciError } from './errors.ts'

/** A JSON value read strictly; objects have no prototype, so any key is only a key. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

const maxDepth = 64
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const plainString = /"[^"\\\u0000-\u001f]*"/y
const anyString = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const space = /[ \t\r\n]*/y

/**
 * Reads JSON so that no two readers can understand it differently: refuses duplicate keys, invalid UTF-8, a byte order
 * mark, integers a double cannot hold and nesting deeper than 64. JSON.parse keeps the last duplicate and rounds in silence.
 * @throws OciError MANIFEST_INVALID naming the offset
 */
export function parseStrictJson(content: Uint8Array): Json {
  const text = decode(content)
  let at = 0

  function fail(problem: string): never {
    throw new OciError('MANIFEST_INVALID', { message: `${problem} at offset ${at}` })
  }
  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  function skip(): void {
    const code = text.charCodeAt(at)
    if (code === 32 || code === 10 || code === 13 || code === 9) take(space)
  }
  function expect(character: string): void {
    if (text[at] !== character) fail(`expected "${character}"`)
    at++
  }
  function readString(): string {
    const plain = take(plainString)
    if (plain !== undefined) return plain.slice(1, -1)
    const escaped = take(anyString)
    return escaped === undefined ? fail('broken string') : String(JSON.parse(escaped))
  }
  function readNumber(): number {
    const digits = take(number) ?? fail('expected a value')
    const value = Number(digits)
    if (!Number.isFinite(value)) fail('number out of range')
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) fail('integer out of range')
    return value
  }
  function readWord(word: string, value: null | boolean): null | boolean {
    if (!text.startsWith(word, at)) fail('expected a value')
    at += word.length
    return value
  }
  /** Reads `entry, entry …` up to the closing bracket, which it takes too. */
  function readList(close: string, entry: () => void): void {
    at++
    skip()
    if (text[at] === close) return void at++
    for (;;) {
      entry()
      skip()
      if (text[at] === close) return void at++
      expect(',')
      skip()
    }
  }
  function readObject(depth: number): JsonObject {
    const object: JsonObject = Object.create(null)
    readList('}', () => {
      const key = readString()
      if (key in object) fail('duplicate key')
      skip()
      expect(':')
      object[key] = readValue(depth + 1)
    })
    return object
  }
  function readValue(depth: number): Json {
    if (depth > maxDepth) fail('nesting deeper than 64')
    skip()
    switch (text[at]) {
      case '{':
        return readObject(depth)
      case '[': {
        const items: Json[] = []
        readList(']', () => items.push(readValue(depth + 1)))
        return items
      }
      case '"':
        return readString()
      case 't':
        return readWord('true', true)
      case 'f':
        return readWord('false', false)
      case 'n':
        return readWord('null', null)
      default:
        return readNumber()
    }
  }

  const value = readValue(0)
  skip()
  if (at < text.length) fail('unexpected text after the document')
  return value
}

function decode(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch (cause) {
    throw new OciError('MANIFEST_INVALID', { message: 'not UTF-8', cause })
  }
}
