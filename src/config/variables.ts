import { nearest } from './nearest.ts'
import type { Node } from './nodes.ts'
import { keys } from './keys/index.ts'
import type { Problems } from './problems.ts'
import { type Entry, entryAt, type Origin, place, spellOut } from './tree.ts'

/** What is no key but bears the prefix: the place of the file, credentials of podman, skopeo and buildah, and what our own commands read. */
const others = new Set(['REGISTRY_CONFIGURATION_PATH', 'REGISTRY_AUTH_FILE', 'HOLDFAST_URL', 'HOLDFAST_TOKEN'])
/** Kubernetes and Docker links tell of a Service called `registry` or `registry-auth` by such names. */
const serviceLink = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/
/** Texts that mean the same in YAML: no quotes, comments, brackets or colons before a blank. */
const plain = /^(?!(~|null)$)[\w./](?:[\w./:@=+,-]|(?<!:) (?=[\w./]))*(?<!:)$|^:\d+$/i

/**
 * Applies `REGISTRY_*` (and, for ours, `HOLDFAST_*`) variables to the tree: a name is the path of the key in capitals, joined by
 * `_`; lists are counted from 0; a value is YAML. What stands for a whole section comes before what stands for a part of it.
 */
export async function applyVariables(root: Entry, env: NodeJS.ProcessEnv, problems: Problems): Promise<void> {
  const names = Object.keys(env).filter((name) => /^(REGISTRY|HOLDFAST)_/.test(name) && !others.has(name))
  for (const name of names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))) {
    const value = env[name]!
    if (serviceLink.test(name) && /^(tcp|udp|sctp):\/\//.test(value)) continue
    const found = locate(name, root)
    if (!found.node) await reportUnknown(name, found, problems)
    else if (isEmptyChoice(found.node, value)) {
      // Whoever forgot to fill it in shall not find the registry open, or empty.
      if (entryAt(root, found.path)) problems.warn({ kind: 'variable', name }, 'is empty and passed over')
    } else if (found.gap) problems.error({ kind: 'variable', name }, found.gap)
    else place(root, found.path, spellOut(found.node, await readValue(found.node, name, value, problems)))
  }
}

const isEmptyChoice = (node: Node, value: string) =>
  node.node === 'section' && node.choice === true && value.trim() === ''

interface Located {
  path: (string | number)[]
  /** Undefined when the name stands for nothing. */
  node?: Node
  /** Why the path cannot be had although its node is known. */
  gap?: string
  /** Whether a name that stands for nothing here is an error. */
  strict?: boolean
}

/** The key a variable stands for. */
function locate(name: string, root: Entry): Located {
  const isOurs = name.startsWith('HOLDFAST_')
  const path: (string | number)[] = isOurs ? ['holdfast'] : []
  let node: Node = isOurs ? keys.fields.holdfast : keys
  let rest = name.slice(name.indexOf('_') + 1)
  while (rest !== '') {
    const step = takeStep(node, rest, entryAt(root, path))
    if (!step) return { path, strict: node.node === 'section' && node.strict === true }
    path.push(step.key)
    if (step.gap) return { path, node: step.node, gap: step.gap }
    node = step.node
    rest = step.rest
  }
  return { path, node }
}

interface Step {
  key: string | number
  node: Node
  rest: string
  gap?: string
}

/** One step down: the part of the name that belongs to it, and the rest. */
function takeStep(node: Node, rest: string, entry: Entry | undefined): Step | undefined {
  if (node.node === 'section') {
    for (const [key, child] of Object.entries(node.fields))
      for (const word of [key.toUpperCase(), child.variable])
        if (word && (rest === word || rest.startsWith(`${word}_`)))
          return { key, node: child, rest: rest.slice(word.length + 1) }
    return undefined
  }
  if (node.node === 'list') {
    const [, index, below] = /^(\d+)(?:_(.+))?$/.exec(rest) ?? []
    if (index === undefined) return undefined
    const length = Array.isArray(entry?.value) ? entry.value.length : 0
    const key = Number(index)
    const gap = key > length ? { gap: `item ${key} without those before; the next is ${length}` } : {}
    return { key, node: node.item, rest: below ?? '', ...gap }
  }
  if (node.node === 'dictionary') {
    const [, word = rest, index] = (node.item.node === 'list' && /^(.+)_(\d+)$/.exec(rest)) || []
    return { key: existing(entry, word), node: node.item, rest: index ?? '' }
  }
  return node.node === 'opaque' ? { key: existing(entry, rest), node, rest: '' } : undefined
}

/** The user's own name that is there in other letters, else the name in small ones. */
function existing(entry: Entry | undefined, word: string): string {
  const there = entry?.value instanceof Map ? [...entry.value.keys()] : []
  return there.find((key) => key.toLowerCase() === word.toLowerCase()) ?? word.toLowerCase()
}

async function reportUnknown(name: string, { strict }: Located, problems: Problems): Promise<void> {
  if (serviceLink.test(name)) return
  const { describeKeys } = await import('./describe.ts')
  const near = nearest(
    name,
    describeKeys().flatMap(({ variables }) => variables),
  )
  const message = `stands for no key${near ? `; did you mean ${near}?` : ''}`
  if (strict) problems.error({ kind: 'variable', name }, message)
  else problems.warn({ kind: 'variable', name }, message)
}

/** The value of a variable: YAML, unless a text is wanted that is none. */
async function readValue(node: Node, name: string, text: string, problems: Problems): Promise<Entry> {
  const origin: Origin = { kind: 'variable', name }
  if (text.trim() === '') return { origin, value: null }
  if (plain.test(text)) return { origin, value: text }
  const { parseYaml } = await import('./yaml.ts')
  const { entry, errors } = parseYaml(text, () => origin)
  if (node.node === 'leaf') {
    const isYaml =
      errors.length === 0 && (typeof entry.value === 'string' || (entry.value === null && !text.startsWith('#')))
    return isYaml ? entry : { origin, value: text }
  }
  // The text may hold secrets: only what the parser says is repeated.
  for (const error of errors) problems.error(origin, `expected YAML: ${error.message}`)
  return entry
}
