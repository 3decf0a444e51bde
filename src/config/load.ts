import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { buildConfiguration } from './build/index.ts'
import type { Configuration } from './configuration.ts'
import { keys } from './keys/index.ts'
import { addressKind } from './kinds.ts'
import { isChoice } from './nodes.ts'
import { ConfigurationError, createProblems, type Problems } from './problems.ts'
import { type Reading, readTree } from './read.ts'
import { type Entry, entryAt, mapEntry, place, spellOut } from './tree.ts'
import { applyVariables } from './variables.ts'

export interface Sources {
  /** The path of a configuration file; `REGISTRY_CONFIGURATION_PATH` where it is not given. Without both none is read. */
  file?: string | undefined
  env: NodeJS.ProcessEnv
  /** `--addr` and `--data`. */
  flags?: { addr?: string | undefined; data?: string | undefined }
}

export interface Loaded {
  configuration: Configuration
  /** A line each about what is not honoured, or certainly meant otherwise. */
  warnings: string[]
  /** The same about what nobody will miss. */
  notes: string[]
  reading: Reading
}

/**
 * Reads the configuration: a flag comes before a variable, before the file, before the default.
 * @throws ConfigurationError naming each error with file and line or variable, key, value and expected form
 */
export async function loadConfiguration({ env, flags = {}, ...sources }: Sources): Promise<Loaded> {
  const file = sources.file ?? (env.REGISTRY_CONFIGURATION_PATH || undefined)
  const problems = createProblems()
  const root = file === undefined ? mapEntry({ kind: 'default', name: 'default' }) : await readFileTree(file, problems)
  failOn(problems) // what is no YAML says nothing about its keys
  await applyVariables(root, env, problems)
  applyFlags(root, flags, problems)
  renameLogLevel(root)
  chooseStorage(root, problems)
  const reading = readTree(root, file !== undefined, problems)
  const configuration = buildConfiguration(reading, problems, randomUUID)
  failOn(problems)
  return { configuration, warnings: problems.warnings, notes: problems.notes, reading }
}

function failOn({ errors, warnings }: Problems): void {
  if (errors.length > 0) throw new ConfigurationError(errors, warnings)
}

async function readFileTree(file: string, problems: Problems): Promise<Entry> {
  const { parseYaml } = await import('./yaml.ts')
  const originOf = (line: number) => ({ kind: 'file' as const, name: `${file}:${line}` })
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : ''
    const reason = code === 'ENOENT' ? 'there is no such file' : String((cause as Error).message)
    throw new ConfigurationError([`${file}: ${reason}`], [])
  }
  const { entry, errors, warnings } = parseYaml(text, originOf)
  for (const { line, message } of errors) problems.error(originOf(line), `expected YAML: ${message}`)
  for (const { line, message } of warnings) problems.warn(originOf(line), message)
  if (errors.length > 0) return entry
  const version = entry.value instanceof Map ? entry.value.get('version') : undefined
  if (entry.value === null || (entry.value instanceof Map && typeof version?.value !== 'string'))
    problems.error(version?.origin ?? originOf(1), 'version is missing: expected the line "version: 0.1"')
  return spellOut(keys, entry)
}

function applyFlags(root: Entry, { addr, data }: NonNullable<Sources['flags']>, problems: Problems): void {
  const origin = (name: string) => ({ kind: 'flag' as const, name })
  if (addr !== undefined) {
    if (addr.trim() === '') problems.error(origin('--addr'), `is empty: expected ${addressKind.form}`)
    place(root, ['http', 'net'], { origin: origin('--addr'), value: 'tcp' })
    place(root, ['http', 'addr'], { origin: origin('--addr'), value: addr })
  }
  if (data === undefined) return
  if (data.trim() === '') problems.error(origin('--data'), 'is empty: expected the path of a folder')
  const storage = entryMap(root, 'storage')
  const path = ['s3', 's3aws', 'azure', 'gcs'].some((name) => storage.has(name))
    ? ['holdfast', 'data'] // the images lie elsewhere
    : ['storage', 'filesystem', 'rootdirectory']
  storage.delete('inmemory')
  place(root, path, { origin: origin('--data'), value: data })
}

/** `loglevel` stands for `log.level` where that is not set. */
function renameLogLevel(root: Entry): void {
  const older = entryAt(root, ['loglevel'])
  if (!older || !(root.value instanceof Map) || entryAt(root, ['log', 'level'])?.value) return
  root.value.delete('loglevel')
  place(root, ['log', 'level'], older)
}

/** Where nothing is said the images lie in a folder; and a variable's driver replaces the one of the file, which is often the image's. */
function chooseStorage(root: Entry, problems: Problems): void {
  const storage = entryMap(root, 'storage')
  const drivers = Object.entries(keys.fields.storage.fields).flatMap(([name, node]) => (isChoice(node) ? [name] : []))
  const chosen = drivers.filter((name) => storage.has(name))
  if (chosen.length === 0) place(root, ['storage', 'filesystem'], mapEntry(root.origin))
  const wanted = chosen.find((name) => storage.get(name)!.origin.kind === 'variable')
  if (!wanted) return
  for (const name of ['filesystem', 'inmemory']) {
    const given = storage.get(name)
    if (name === wanted || given?.origin.kind !== 'file') continue
    problems.warn(
      given.origin,
      `storage.${name} is passed over: ${storage.get(wanted)!.origin.name} chooses storage.${wanted}`,
    )
    storage.delete(name)
  }
}

/** The map below a name of the file; an empty one where there is none. */
function entryMap(root: Entry, name: string): Map<string, Entry> {
  const value = entryAt(root, [name])?.value
  return value instanceof Map ? value : new Map()
}
