import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Why a test of these programs cannot run here, as the `skip` of node:test; false when it can. `root` asks for the superuser. */
export function need(...programs: string[]): string | false {
  const missing = programs.filter((program) => program !== 'root' && !find(program))
  if (missing.length > 0) return `${missing.join(' and ')} not in PATH`
  return programs.includes('root') && process.getuid?.() !== 0 ? `${programs[0]} needs root here` : false
}

/** Where the program lies, if it is in PATH. */
export function find(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // not there, or not ours to run: the same to a caller
  }
}

/** Command prefix under which a program ends when its parent does, however that happens; empty where there is no such program. */
export const tethered: string[] =
  spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'TERM'] : []

export interface RunOptions {
  env?: NodeJS.ProcessEnv
  cwd?: string
  input?: string | Uint8Array
  /** Milliseconds after which the program is killed; a minute by default. */
  timeout?: number
}

/** Runs a program to its end and gives what it wrote to stdout, trimmed. @throws Error with the end of all it wrote, on any exit but 0 */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { env, cwd, input, timeout = 60_000 } = options
  const [program, ...rest] = [...tethered, command, ...args]
  const child = spawn(program!, rest, { env: env ?? process.env, ...(cwd && { cwd }), timeout, killSignal: 'SIGKILL' })
  const stdout: Buffer[] = []
  const all: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => all.push(chunk))
  child.stdin.on('error', () => {}) // a program need not read its input
  child.stdin.end(input)
  const end = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (end === 0) return Buffer.concat(stdout).toString().trim()
  throw new Error(`${command} ${args.join(' ')} ended with ${end}:\n${Buffer.concat(all).toString().slice(-3000)}`)
}
