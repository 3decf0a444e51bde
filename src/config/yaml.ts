import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
} from 'yaml'
import { type Entry, mapEntry, type Origin } from './tree.ts'

// The only file that knows the YAML library; it is loaded when there is a file, or a variable that is more than a word.

export interface Parsed {
  entry: Entry
  /** Syntax errors, each `line: message`. */
  errors: Problem[]
  warnings: Problem[]
}

interface Problem {
  line: number
  message: string
}

const maxDepth = 50
const maxEntries = 100_000

/**
 * Reads YAML as a tree of texts: what is a boolean or a number is for the table of keys to say. Of several documents the first
 * counts, and of two equal keys the last, as in registry:2.
 */
export function parseYaml(text: string, originOf: (line: number) => Origin): Parsed {
  const lines = new LineCounter()
  const [document] = parseAllDocuments(text, {
    schema: 'failsafe',
    version: '1.1',
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
  })
  const lineOf = (offset: number) => lines.linePos(offset).line
  const empty: Entry = { origin: originOf(1), value: null }
  if (!document || !('contents' in document)) return { entry: empty, errors: [], warnings: [] }
  // The parser quotes what it did not expect, which may be a secret.
  const errors = document.errors.map((error) => ({
    line: lineOf(error.pos[0]),
    message: error.message.replace(/: ["'`][^]*/, ''),
  }))
  if (errors.length > 0) return { entry: empty, errors, warnings: [] }
  const reader = createReader(document as Document.Parsed, lineOf, originOf)
  const entry = document.contents ? reader.read(document.contents as ParsedNode, 0) : empty
  return { entry, errors: reader.errors, warnings: reader.warnings }
}

function createReader(
  document: Document.Parsed,
  lineOf: (offset: number) => number,
  originOf: (line: number) => Origin,
) {
  const errors: Problem[] = []
  const warnings: Problem[] = []
  let entries = 0

  function read(node: ParsedNode | Alias | null, depth: number, line = 1): Entry {
    const own = node?.range ? lineOf(node.range[0]) : line
    const origin = originOf(own)
    // Aliases may hold themselves, or multiply.
    if (depth > maxDepth || ++entries > maxEntries) {
      if (errors.length === 0) errors.push({ line: own, message: 'this is nested too deeply, or holds too much' })
      return { origin, value: null }
    }
    if (isAlias(node)) return { ...readAlias(node, depth, own), origin }
    if (isSeq<ParsedNode>(node)) return { origin, value: node.items.map((item) => read(item, depth + 1, own)) }
    if (isMap<ParsedNode, ParsedNode | null>(node)) return readMap(node.items, origin, depth, own)
    return { origin, value: isScalar(node) ? scalarText(node) : null }
  }

  function readAlias(node: Alias, depth: number, line: number): Entry {
    const target = node.resolve(document) as ParsedNode | undefined
    if (!target) errors.push({ line, message: 'this alias has no anchor above' })
    return read(target ?? null, depth + 1, line)
  }

  function readMap(
    pairs: { key: ParsedNode; value: ParsedNode | null }[],
    origin: Origin,
    depth: number,
    line: number,
  ): Entry {
    const map = new Map<string, Entry>()
    const merged: [string, Entry][] = []
    for (const pair of pairs) {
      const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
      const own = pair.key.range ? lineOf(pair.key.range[0]) : line
      const entry = read(pair.value, depth + 1, own)
      // The line of a section is that of its name.
      if (typeof entry.value !== 'string') entry.origin = originOf(own)
      if (name === '<<') {
        for (const source of Array.isArray(entry.value) ? entry.value : [entry])
          if (source.value instanceof Map) merged.push(...source.value)
        continue
      }
      if (map.has(name)) warnings.push({ line: own, message: `${name} stands here twice; the last one counts` })
      map.set(name, entry)
    }
    for (const [name, entry] of merged) if (!map.has(name)) map.set(name, entry)
    return mapEntry(origin, [...map])
  }

  return { read, errors, warnings }
}

/** The text of a value, as it was written; nothing for YAML's words for it. */
function scalarText(node: { value: unknown; type?: string | undefined; source?: string | undefined }): string | null {
  const text = String(node.value ?? '')
  return node.type === 'PLAIN' && /^(|~|null)$/i.test(text) ? null : text
}
