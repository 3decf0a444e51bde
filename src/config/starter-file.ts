import { keys } from './keys/index.ts'
import type { Node } from './nodes.ts'
import { defaultOf } from './read.ts'

/** What is not a comment in the file to start from, with its value. */
const active: Record<string, string> = {
  version: '0.1',
  'log.level': 'info',
  'storage.filesystem.rootdirectory': '/var/lib/registry',
  'storage.delete.enabled': 'true',
  'http.addr': ':5000',
}
const older = ['loglevel', 'validation.enabled', 'storage.s3aws']
const header = `# Configuration of Holdfast. registry:2 and registry:3 read the same file, but for what stands under "holdfast".
# Lines that begin with #- are defaults or examples: take the mark away to use them.
# "holdfast config explain KEY" says more, "holdfast config check FILE" looks for mistakes.
`

/** A configuration file with every key that is honoured, most of them as comments. */
export function starterFile(): string {
  const sections = Object.entries(keys.fields).flatMap(([name, node]) => {
    const lines = write(name, node, name, 0)
    return lines.length > 0 ? [lines.join('\n')] : []
  })
  return `${header}\n${sections.join('\n\n')}\n`
}

function write(name: string, node: Node, path: string, depth: number): string[] {
  if (node.status || older.includes(path)) return []
  const isActive = Object.keys(active).some((key) => key === path || key.startsWith(`${path}.`))
  const indent = '  '.repeat(depth)
  const label = `${isActive ? '' : '#-'}${indent}${name}:`
  const doc = `${indent}# ${node.doc}`
  if (node.node === 'leaf') {
    const value = active[path] ?? defaultOf(node, true)
    return [doc, value === undefined ? label : `${label} ${quote(value)}`]
  }
  if (node.node === 'list') return [doc, `${label} []`]
  if (node.node === 'dictionary') return [doc, `${label} {}`]
  if (node.node === 'opaque') return []
  const inner = Object.entries(node.fields).flatMap(([key, child]) => write(key, child, `${path}.${key}`, depth + 1))
  if (inner.length > 0) return [doc, label, ...inner]
  return Object.keys(node.fields).length > 0 ? [] : [doc, `${label} {}`] // what has keys has none that is honoured
}

const quote = (text: string) => (/^[\w./:-]+$/.test(text) ? text : JSON.stringify(text))
