import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { failure } from './failure.ts'

export interface Credentials {
  name: string
  secret: string
}

interface DockerConfig {
  auths?: Record<string, { auth?: string }>
  credsStore?: string
  credHelpers?: Record<string, string>
}

interface CliConfig {
  /** The registry that commands mean where none is named. */
  url?: string
}

/** Credentials lie where docker keeps its own: who signs in here is signed in there. */
function dockerPath(): string {
  return join(process.env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json')
}

const ownPath = (name: string) => join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'holdfast', name)
const cliPath = () => ownPath('cli.json')
/** What docker keeps with us, where it is told that we are its credential helper. */
const keptPath = () => ownPath('credentials.json')
const ourHelper = 'docker-credential-holdfast'

export function loadCredentials(host: string): Credentials | undefined {
  const config = readJson<DockerConfig>(dockerPath())
  const helper = helperOf(config, host)
  if (helper === ourHelper) return loadOwn(host)
  return helper ? askHelper(helper, host) : readAuth(config.auths?.[host]?.auth)
}

function readAuth(auth: string | undefined): Credentials | undefined {
  if (!auth) return undefined
  const text = Buffer.from(auth, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 1 ? undefined : { name: text.slice(0, colon), secret: text.slice(colon + 1) }
}

export function storeCredentials(host: string, { name, secret }: Credentials): void {
  const config = readJson<DockerConfig>(dockerPath())
  const helper = helperOf(config, host)
  if (helper) {
    if (helper === ourHelper) storeOwn(host, { name, secret })
    else runHelper(helper, 'store', JSON.stringify({ ServerURL: host, Username: name, Secret: secret }))
    writeJson(dockerPath(), { ...config, auths: { ...config.auths, [host]: {} } })
    return
  }
  const auth = Buffer.from(`${name}:${secret}`).toString('base64')
  writeJson(dockerPath(), { ...config, auths: { ...config.auths, [host]: { auth } } })
}

export function forgetCredentials(host: string): void {
  const config = readJson<DockerConfig>(dockerPath())
  const helper = helperOf(config, host)
  if (helper === ourHelper) forgetOwn(host)
  else if (helper) runHelper(helper, 'erase', host)
  const { [host]: _, ...auths } = config.auths ?? {}
  writeJson(dockerPath(), { ...config, auths })
}

/** What a helper is asked for may be a URL. */
const hostOf = (server: string) => server.replace(/^https?:\/\//, '').replace(/\/+$/, '')

/** What we keep ourselves, and what a login has left in docker's file before we were its helper. */
function readOwn(): Record<string, Credentials> {
  const { auths = {} } = readJson<DockerConfig>(dockerPath())
  const left = Object.entries(auths).flatMap(([server, { auth }]) => {
    const found = readAuth(auth)
    return found ? [[hostOf(server), found] as const] : []
  })
  return { ...Object.fromEntries(left), ...readJson<Record<string, Credentials>>(keptPath()) }
}

export function loadOwn(server: string): Credentials | undefined {
  const kept = readOwn()
  return Object.hasOwn(kept, hostOf(server)) ? kept[hostOf(server)] : undefined
}

export function storeOwn(server: string, { name, secret }: Credentials): void {
  writeJson(keptPath(), { ...readJson(keptPath()), [hostOf(server)]: { name, secret } })
}

export function forgetOwn(server: string): void {
  const { [hostOf(server)]: _, ...others } = readJson<Record<string, Credentials>>(keptPath())
  writeJson(keptPath(), others)
}

/** The user names by server. */
export function listOwn(): Record<string, string> {
  return Object.fromEntries(Object.entries(readOwn()).map(([host, { name }]) => [host, name]))
}

export function loadUrl(): string | undefined {
  return readJson<CliConfig>(cliPath()).url
}

export function storeUrl(url: string): void {
  writeJson(cliPath(), { ...readJson<CliConfig>(cliPath()), url })
}

function helperOf({ credHelpers, credsStore }: DockerConfig, host: string): string | undefined {
  const name = credHelpers?.[host] ?? credsStore
  return name !== undefined && /^[\w.-]+$/.test(name) ? `docker-credential-${name}` : undefined
}

function askHelper(helper: string, host: string): Credentials | undefined {
  const { status, stdout } = spawnSync(helper, ['get'], { input: host, encoding: 'utf8' })
  if (status !== 0) return undefined
  const { Username: name, Secret: secret } = JSON.parse(stdout) as { Username: string; Secret: string }
  return { name, secret }
}

function runHelper(helper: string, action: string, input: string): void {
  const { status, error, stdout } = spawnSync(helper, [action], { input, encoding: 'utf8' })
  if (status !== 0) throw failure('failed', `${helper} ${action}: ${error?.message ?? stdout.trim()}`)
}

function readJson<T extends object>(path: string): T {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {} as T
    throw error
  }
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw failure('failed', `Cannot read ${path}: it is no JSON`, cause)
  }
}

/** Writes a file that nobody else may read: whole or not at all. */
function writeJson(path: string, value: object): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const partial = `${path}.${process.pid}`
  writeFileSync(partial, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
  chmodSync(partial, 0o600)
  renameSync(partial, path)
}
