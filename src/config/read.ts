import { keys, type Keys } from './keys/index.ts'
import { nearest } from './nearest.ts'
import { isChoice, type Leaf, type Node, type Section, type Status } from './nodes.ts'
import type { Problems } from './problems.ts'
import type { Entry, Origin } from './tree.ts'

/** The values of all keys, and where those that were given came from. */
export interface Reading {
  values: Keys
  /** By dotted path, for all that was given; sections and lists as well. */
  origins: Map<string, Origin>
  /** The text of each value by dotted path, defaults included; a default has no origin. */
  texts: Map<string, string>
  /** The paths of what was given but has no effect. */
  unused: Set<string>
}

/** Reads the tree by the table of keys and reports all that does not fit. */
export function readTree(root: Entry, hasFile: boolean, problems: Problems): Reading {
  const origins = new Map<string, Origin>()
  const texts = new Map<string, string>()
  const unused = new Set<string>()
  return { values: read(keys, root, '') as Keys, origins, texts, unused }

  function read(node: Node, entry: Entry | undefined, path: string): unknown {
    if (entry && path !== '') note(node, entry, path)
    switch (node.node) {
      case 'leaf':
        return readLeaf(node, entry, path)
      case 'section':
        return readSection(node, entry, path)
      case 'list':
        return itemsOf(node.item, entry, path).map((item, index) => read(node.item, item, `${path}.${index}`))
      case 'dictionary': {
        const map = mapOf(entry, path)
        return Object.fromEntries([...map].map(([name, item]) => [name, read(node.item, item, below(path, name))]))
      }
      case 'opaque':
        return undefined
    }
  }

  function note(node: Node, entry: Entry, path: string): void {
    if (entry.value !== null || (node.node === 'section' && node.optional)) origins.set(path, entry.origin)
    const isSet = entry.value !== null && entry.value !== '' && !(entry.value instanceof Map && entry.value.size === 0)
    // To choose a store or a sign-in is enough to mean it.
    if (node.status && (isSet || node.status.unsafe) && !(node.node === 'leaf' && !isSet))
      reportStatus(node.status, entry.origin, path)
  }

  function reportStatus(status: Status, origin: Origin, path: string): void {
    const message = `${path} ${statusText(status)}`
    if (status.unsafe) problems.error(origin, message)
    else if (status.quiet) problems.note(origin, message)
    else problems.warn(origin, message)
    unused.add(path)
  }

  function readLeaf(node: Leaf<unknown>, entry: Entry | undefined, path: string): unknown {
    const initial = defaultOf(node, hasFile)
    const fallback = (): unknown => {
      if (initial === undefined) return undefined
      texts.set(path, initial)
      return node.kind.parse(initial)
    }
    if (!entry || entry.value === null || entry.value === '') {
      origins.delete(path)
      return fallback()
    }
    const { value: text, origin } = entry
    if (typeof text !== 'string') {
      problems.error(origin, `${path} is ${Array.isArray(text) ? 'a list' : 'a section'}: expected ${node.kind.form}`)
      return fallback()
    }
    const shown = `${path} is ${printable(node, text)}`
    const value = node.kind.parse(text)
    if (value === undefined) {
      problems.error(origin, `${shown}: expected ${node.kind.form}`)
      return fallback()
    }
    if (value === 0 && node.zeroIsDefault) return fallback()
    const doubt = node.kind.doubt?.(text)
    if (doubt) problems.warn(origin, `${shown}: ${doubt}`)
    texts.set(path, text)
    return value
  }

  function readSection(node: Section, entry: Entry | undefined, path: string): unknown {
    if (!entry && node.optional) return undefined
    const map = mapOf(entry, path)
    if (node.choice) checkChoice(node, map, path)
    for (const [name, child] of map)
      if (!Object.hasOwn(node.fields, name)) reportUnknown(node, child.origin, path, name)
    return Object.fromEntries(
      Object.entries(node.fields).map(([name, child]) => [name, read(child, map.get(name), below(path, name))]),
    )
  }

  function checkChoice({ fields }: Section, map: Map<string, Entry>, path: string): void {
    const chosen = [...map].filter(([name]) => Object.hasOwn(fields, name) && isChoice(fields[name]!))
    const names = chosen.map(([name]) => name).join(' and ')
    if (chosen.length > 1) problems.error(chosen[1]![1].origin, `${path} is ${names}: expected exactly one of them`)
  }

  function reportUnknown(node: Section, origin: Origin, path: string, name: string): void {
    const near = nearest(name, Object.keys(node.fields))
    const message = `there is no key ${below(path, name)}${near ? `; did you mean ${below(path, near)}?` : ''}`
    if (node.strict) problems.error(origin, message)
    else problems.warn(origin, message)
  }

  function mapOf(entry: Entry | undefined, path: string): Map<string, Entry> {
    if (!entry || entry.value === null || entry.value === '') return new Map()
    if (entry.value instanceof Map) return entry.value
    const found = typeof entry.value === 'string' ? 'a text' : 'a list'
    problems.error(entry.origin, `${path || 'the file'} is ${found}: expected a section of keys`)
    return new Map()
  }

  function itemsOf(item: Node, entry: Entry | undefined, path: string): Entry[] {
    if (!entry || entry.value === null || entry.value === '') return []
    if (Array.isArray(entry.value)) return entry.value
    if (typeof entry.value === 'string' && item.node === 'leaf') return [entry] // one without the brackets
    problems.error(entry.origin, `${path} is ${entry.value instanceof Map ? 'a section' : 'a text'}: expected a list`)
    return []
  }
}

/** Why a key that this version does not honour is there, for warnings and for the documentation. */
export function statusText({ later, ignored, unsafe }: Status): string {
  // Never advice to take the key away: without it the registry could be open, or the images elsewhere.
  if (later && unsafe) return `needs ${later}, which this version does not have yet; it does not start with this key`
  if (later) return `comes with ${later}, which this version does not have yet`
  return unsafe ? `is not to be had: ${ignored}` : `is passed over: ${ignored}`
}

/** A value as it may be shown: secrets are not, nor are passwords in URLs. */
export function printable({ secret }: Leaf<unknown>, text: string): string {
  // Of a secret URL the server may be known.
  if (secret) return JSON.stringify(`${/^https?:\/\/[^/@?#\s]+\//i.exec(text)?.[0] ?? ''}<secret>`)
  return JSON.stringify(text.replace(/(\/\/[^/@\s]*:)[^/@\s]*@/, '$1<secret>@').slice(0, 200))
}

/** The text of a key's default, with or without a configuration file. */
export function defaultOf(node: Leaf<unknown>, hasFile: boolean): string | undefined {
  const { default: initial } = node
  return typeof initial === 'object' ? initial[hasFile ? 'file' : 'none'] : initial
}

const below = (path: string, name: string) => (path === '' ? name : `${path}.${name}`)
