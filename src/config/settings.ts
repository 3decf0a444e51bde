import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { LogLevel } from '../platform/log.ts'

export interface Settings {
  host: string
  port: number
  data: string
  logLevel: LogLevel
  /** What was read but is not honoured by this version. */
  warnings: string[]
}

interface Sources {
  file?: string | undefined
  addr?: string | undefined
  data?: string | undefined
  env: NodeJS.ProcessEnv
}

// registry:2's names of the settings honoured so far; each has a key in the file and a variable.
const keys = { addr: 'http.addr', data: 'storage.filesystem.rootdirectory', logLevel: 'log.level' } as const
const defaults = { addr: '127.0.0.1:5000', data: 'data', logLevel: 'info' }

/**
 * Reads the settings: a flag before a `REGISTRY_*` variable before the configuration file before the default.
 * @throws Error naming the source, the value and the expected form
 */
export async function loadSettings({ file, addr, data, env }: Sources): Promise<Settings> {
  const inFile = file === undefined ? new Map<string, string>() : await readConfigFile(file)
  const flags: Partial<Record<keyof typeof keys, string | undefined>> = { addr, data }
  const find = (name: keyof typeof keys): { value: string; source: string } => {
    const variable = `REGISTRY_${keys[name].replaceAll('.', '_').toUpperCase()}`
    if (flags[name] !== undefined) return { value: flags[name], source: `--${name}` }
    if (env[variable]) return { value: env[variable], source: variable }
    const value = inFile.get(keys[name])
    return value === undefined
      ? { value: defaults[name], source: 'default' }
      : { value, source: `${file}: ${keys[name]}` }
  }
  const known: string[] = [...Object.values(keys), 'version']
  return {
    ...parseAddress(find('addr')),
    data: parseFolder(find('data')),
    logLevel: parseLevel(find('logLevel')),
    warnings: [...inFile.keys()]
      .filter((key) => !known.includes(key))
      .map((key) => `${file}: ${key} is not honoured by this version`),
  }
}

/** All leaves of the YAML file by dotted path. */
async function readConfigFile(file: string): Promise<Map<string, string>> {
  const { parse } = await import('yaml') // only who has a file pays for the reader
  const leaves = new Map<string, string>()
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return void (path && leaves.set(path, String(value)))
    for (const [key, child] of Object.entries(value)) walk(child, path ? `${path}.${key}` : key)
  }
  try {
    walk(parse(await readFile(file, 'utf8')), '')
  } catch (cause) {
    throw new Error(`Cannot read config ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  return leaves
}

function parseAddress({ value, source }: { value: string; source: string }): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(value)
  const port = Number(match?.[3])
  if (!match || port > 65_535)
    throw new Error(`Cannot use ${source} "${value}": expected HOST:PORT such as 127.0.0.1:5000 or :5000`)
  return { host: match[1] ?? (match[2] || '::'), port }
}

function parseFolder({ value, source }: { value: string; source: string }): string {
  if (value.trim() === '') throw new Error(`Cannot use ${source} "": expected the path of a folder`)
  return resolve(value)
}

function parseLevel({ value, source }: { value: string; source: string }): LogLevel {
  const level = value.toLowerCase()
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error') return level
  throw new Error(`Cannot use ${source} "${value}": expected debug, info, warn or error`)
}
