import { keys } from './keys/index.ts'
import type { Node } from './nodes.ts'
import { defaultOf, statusText } from './read.ts'

/** A key as people are told about it. */
export interface Description {
  /** Dotted; `[]` stands for the items of a list. */
  path: string
  node: Node
  doc: string
  /** What may stand there. */
  form: string
  /** Undefined: none. */
  default: string | undefined
  /** What this version does with it, when it does not honour it. */
  status: string | undefined
  /** The variables that set it, the file's spelling first. */
  variables: string[]
}

/** Every key and section of the table, in its order, each after what it is part of. */
export function describeKeys(): Description[] {
  return describe(keys, '', ['REGISTRY']).slice(1)
}

function describe(node: Node, path: string, variables: string[]): Description[] {
  const own: Description = {
    path,
    node,
    doc: node.doc,
    form: formOf(node),
    default: defaultText(node),
    status: node.status && statusText(node.status),
    variables,
  }
  return [own, ...childrenOf(node, path, variables)]
}

function childrenOf(node: Node, path: string, variables: string[]): Description[] {
  if (node.node === 'section')
    return Object.entries(node.fields).flatMap(([name, child]) => {
      const words = [name.toUpperCase(), ...(child.variable ? [child.variable] : [])]
      const isOurs = path === '' && name === 'holdfast'
      const spellings = isOurs ? ['HOLDFAST'] : variables.flatMap((above) => words.map((word) => `${above}_${word}`))
      return describe(child, path === '' ? name : `${path}.${name}`, spellings)
    })
  // What is in a list of plain values is said by the list.
  if (node.node !== 'list' || node.item.node !== 'section') return []
  return childrenOf(
    node.item,
    `${path}[]`,
    variables.map((above) => `${above}_0`),
  )
}

function formOf(node: Node): string {
  switch (node.node) {
    case 'leaf':
      return node.kind.form
    case 'list':
      return node.item.node === 'section' ? 'a list of sections' : `a list; each item ${formOf(node.item)}`
    case 'dictionary':
      return `names of your own; each ${formOf(node.item)}`
    case 'section':
      return node.choice ? `one of ${choicesOf(node.fields)}, as a word or a section` : 'a section'
    case 'opaque':
      return 'a section'
  }
}

function choicesOf(fields: Record<string, Node>): string {
  return Object.entries(fields)
    .filter(([, child]) => child.node === 'section' && child.optional)
    .map(([name]) => name)
    .join(', ')
}

function defaultText(node: Node): string | undefined {
  if (node.node !== 'leaf') return undefined
  const [file, none] = [defaultOf(node, true), defaultOf(node, false)]
  return file === none ? file : `${file}; without a file ${none}`
}
