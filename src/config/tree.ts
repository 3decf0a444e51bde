import type { Node } from './nodes.ts'

/** Where a value comes from: `config.yml:12`, `REGISTRY_HTTP_ADDR`, `--addr`. */
export interface Origin {
  kind: 'file' | 'variable' | 'flag' | 'default'
  name: string
}

/** A value as it was written, before the table says what it means: a text, nothing, a map or a list. */
export interface Entry {
  origin: Origin
  value: string | null | Map<string, Entry> | Entry[]
}

/** The names, and in lists the positions, that lead to an entry. */
export type Path = readonly (string | number)[]

/** A map with these entries. */
export const mapEntry = (origin: Origin, entries: [string, Entry][] = []): Entry => ({
  origin,
  value: new Map(entries),
})

/** Writes `storage: inmemory` as the map it stands for, wherever the table allows the short form. */
export function spellOut(node: Node, entry: Entry): Entry {
  if (node.node !== 'section') return entry
  const { value, origin } = entry
  if (node.choice && typeof value === 'string' && value !== '') return mapEntry(origin, [[value, mapEntry(origin)]])
  if (value instanceof Map)
    for (const [name, child] of value)
      if (Object.hasOwn(node.fields, name)) value.set(name, spellOut(node.fields[name]!, child))
  return entry
}

/** The entry below `root` at this path. */
export function entryAt(root: Entry, path: Path): Entry | undefined {
  let entry: Entry | undefined = root
  for (const step of path) {
    const value: Entry['value'] | undefined = entry?.value
    if (value instanceof Map) entry = value.get(String(step))
    else entry = Array.isArray(value) ? value[Number(step)] : undefined
  }
  return entry
}

/** Puts an entry at a path below `root`; maps and lists that are missing on the way are made. */
export function place(root: Entry, path: Path, entry: Entry): void {
  const [step = '', ...rest] = path
  if (!(root.value instanceof Map) && !Array.isArray(root.value)) root.value = typeof step === 'number' ? [] : new Map()
  if (rest.length > 0) {
    const next = entryAt(root, [step]) ?? { origin: entry.origin, value: null }
    place(next, rest, entry)
    entry = next
  }
  if (root.value instanceof Map) root.value.set(String(step), entry)
  else root.value[Number(step)] = entry
}
