import { keys } from './keys/index.ts'
import type { Leaf, Node } from './nodes.ts'
import { printable, type Reading } from './read.ts'

/** What holds, as a configuration file that reads the same; secrets are left out. With `origins` each line says where it comes from. */
export function show({ values, texts, origins }: Reading, withOrigins: boolean): string {
  return write(keys, values, '', 0)
    .map((line) => `${line}\n`)
    .join('')

  /** The lines of a value; none when it is not set. */
  function write(node: Node, value: unknown, path: string, depth: number): string[] {
    if (node.node === 'leaf' || node.node === 'opaque' || value === undefined) return []
    const entries = Array.isArray(value)
      ? value.map((item, index) => [`${index}`, item] as const)
      : Object.entries(value as object)
    return entries.flatMap(([name, child]) => {
      const below = path === '' ? name : `${path}.${name}`
      const childNode = node.node === 'section' ? node.fields[name]! : node.item
      const label = `${'  '.repeat(depth)}${node.node === 'list' ? '-' : `${quote(name)}:`}`
      if (childNode.node === 'leaf') return leaf(childNode, below, label)
      const inner = write(childNode, child, below, depth + 1)
      if (inner.length > 0) return [label, ...inner]
      return origins.has(below) && child !== undefined ? [`${label} ${childNode.node === 'list' ? '[]' : '{}'}`] : []
    })
  }

  function leaf(node: Leaf<unknown>, path: string, label: string): string[] {
    const text = texts.get(path)
    if (text === undefined) return []
    const line = `${label} ${isPlain(text) && !node.secret ? text : printable(node, text)}`
    return [withOrigins ? `${line.padEnd(50)} # ${origins.get(path)?.name ?? 'default'}` : line]
  }
}

/** Whether YAML reads the text back without quotes. */
function isPlain(text: string): boolean {
  return /^[\w./][\w./:-]*$/.test(text) && !/:$|^(~|null)$/i.test(text)
}

const quote = (text: string) => (isPlain(text) ? text : JSON.stringify(text))
