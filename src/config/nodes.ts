import type { Kind } from './kinds.ts'

// What a table of keys is made of. The tables themselves are in keys/.

/** What this version does with a key; absent: it is honoured. */
export interface Status {
  /** The capability that will bring it. */
  later?: string
  /** Why it is not needed, or cannot be had. */
  ignored?: string
  /** Refused, because to go on without it would be unsafe. */
  unsafe?: boolean
  /** Nothing is said at the start: nothing is lost without it. */
  quiet?: boolean
}

interface Common {
  /** One line for people: what it does. */
  doc: string
  status?: Status
  /** The other word for it in the names of variables: registry:2 uses its field's name there. */
  variable?: string
}

/** A default; two where it differs with and without a configuration file. */
type Default = string | { file: string; none: string }

export interface Leaf<T> extends Common {
  node: 'leaf'
  kind: Kind<unknown>
  default?: Default
  secret?: boolean
  /** Zero stands for the default, as in registry:2. */
  zeroIsDefault?: boolean
  /** Only for the compiler: the type of the value. */
  value?: T
}

export interface Section<F extends Fields = Fields, O extends boolean = boolean> extends Common {
  node: 'section'
  fields: F
  /** Undefined when nothing of it is set, instead of a section of defaults. */
  optional: O
  /** A key that is not in the table is an error: to go on without it would be unsafe. */
  strict?: boolean
  /** One of its optional parts; `storage: inmemory` stands for `storage: {inmemory: {}}`. */
  choice?: boolean
}

export interface List<I extends Node = Node> extends Common {
  node: 'list'
  item: I
}

/** Names of the user's own. */
export interface Dictionary<I extends Node = Node> extends Common {
  node: 'dictionary'
  item: I
}

/** A part that is accepted unread: a later version brings its keys. */
export interface Opaque extends Common {
  node: 'opaque'
  status: Status
}

export type Node = Leaf<unknown> | Section | List | Dictionary | Opaque
export interface Fields {
  [key: string]: Node
}

/** What a node reads as. */
export type Value<N> =
  N extends Leaf<infer T>
    ? T
    : N extends Section<infer F, infer O>
      ? { [K in keyof F]: Value<F[K]> } | (O extends true ? undefined : never)
      : N extends List<infer I>
        ? Value<I>[]
        : N extends Dictionary<infer I>
          ? Record<string, Value<I>>
          : undefined

type LeafOptions = Pick<Leaf<unknown>, 'status' | 'secret' | 'zeroIsDefault' | 'variable'>

/** A key with a value of this kind; with a default it always has one. */
export function key<T>(kind: Kind<T>, doc: string, options: LeafOptions & { default: Default }): Leaf<T>
export function key<T>(kind: Kind<T>, doc: string, options?: LeafOptions): Leaf<T | undefined>
export function key(kind: Kind<unknown>, doc: string, options: LeafOptions = {}): Leaf<unknown> {
  return { node: 'leaf', kind, doc, ...options }
}

type SectionOptions = Pick<Section, 'strict' | 'choice' | 'variable' | 'status'>

/** A part of the file with keys of its own, which are there with their defaults even when it is not. */
export function section<F extends Fields>(doc: string, fields: F, options: SectionOptions = {}): Section<F, false> {
  return { node: 'section', doc, fields, optional: false, ...options }
}

/** A section that is undefined when nothing of it is set. */
export function option<F extends Fields>(doc: string, fields: F, options: SectionOptions = {}): Section<F, true> {
  return { node: 'section', doc, fields, optional: true, ...options }
}

/** A list; a single value may stand for a list of one. */
export function list<I extends Node>(doc: string, item: I, options: Pick<List, 'variable' | 'status'> = {}): List<I> {
  return { node: 'list', doc, item, ...options }
}

/** Keys the user chooses, such as names of headers. */
export function dictionary<I extends Node>(doc: string, item: I): Dictionary<I> {
  return { node: 'dictionary', doc, item }
}

/** A part that is accepted unread, with why. */
export function opaque(doc: string, status: Status): Opaque {
  return { node: 'opaque', doc, status }
}

/** Whether a node is one of those a `choice` is made from. */
export function isChoice(node: Node): boolean {
  return node.node === 'opaque' || (node.node === 'section' && node.optional)
}
