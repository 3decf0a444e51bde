import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { unwrap, wrap } from './wrapping.ts'

/** A key that only wraps other keys, by the name it has in the configuration. */
export type MasterKeyOptions = { id: string } & (
  | { kind: 'key'; key: string }
  | { kind: 'file'; path: string }
  /** A program and its arguments; `wrap` or `unwrap` comes after them. */
  | { kind: 'command'; command: string[] }
)

export interface MasterKey {
  id: string
  wrap(key: Buffer): Promise<Buffer>
  /** Undefined when it was not wrapped by this key. */
  unwrap(wrapped: Buffer): Promise<Buffer | undefined>
}

/** A key service is asked once for each key that is wrapped by its, at the start. */
const commandMs = 30_000
const maxAnswer = 1 << 20

/** Opens a key that the configuration has at `option`. @throws Error that says what to do when it cannot be had */
export async function openMasterKey(
  options: MasterKeyOptions,
  option: string,
  timeoutMs = commandMs,
): Promise<MasterKey> {
  const { id } = options
  const fail = (why: string) => cannot(option, id, why)
  if (options.kind === 'command') return commandKey({ id, timeout: timeoutMs, fail }, options.command)
  const key = options.kind === 'key' ? decodeKey(Buffer.from(options.key)) : await readKey(options.path, fail)
  if (!key) throw fail(`expected ${form}`)
  return { id, wrap: async (inner) => wrap(inner, key), unwrap: async (wrapped) => unwrap(wrapped, key) }
}

const form = '32 bytes, as 64 hexadecimal digits, in base64 or as they are (openssl rand -hex 32)'

type Fail = (why: string) => Error

async function readKey(path: string, fail: Fail): Promise<Buffer | undefined> {
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw fail(`${path} cannot be read (${error.code ?? error.message})`)
  })
  const key = decodeKey(content)
  if (!key) throw fail(`${path} holds no key: expected ${form}`)
  return key
}

function decodeKey(content: Buffer): Buffer | undefined {
  if (content.length === 32) return content
  const text = content.toString('latin1').trim()
  if (/^[\da-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  return /^[\w+/-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** What a program does with it: base64 on a line goes in, base64 comes out. */
function commandKey(
  { id, timeout, fail }: { id: string; timeout: number; fail: Fail },
  [program, ...args]: string[],
): MasterKey {
  function run(action: 'wrap' | 'unwrap', input: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = { timeout, killSignal: 'SIGKILL' as const, maxBuffer: maxAnswer }
      const child = execFile(program!, [...args, action], options, (error, stdout, stderr) => {
        if (error) return reject(fail(whyFailed(`${program} ${action}`, error, stderr)))
        const text = stdout.trim()
        if (!/^[\w+/-]+=*$/.test(text)) return reject(fail(`${program} ${action} gave no base64`)) // never shown
        resolve(Buffer.from(text, 'base64'))
      })
      child.stdin!.on('error', () => undefined) // who ends without reading is told by the exit code
      child.stdin!.end(`${input.toString('base64')}\n`)
    })
  }
  function whyFailed(what: string, error: Error & { killed?: boolean; code?: unknown }, said: string): string {
    if (error.killed) return `${what} took longer than ${timeout / 1000} s`
    const line = said.trim().split('\n')[0]!.slice(0, 200)
    return `${what} failed with ${String(error.code)}${line && `: ${line}`}`
  }
  return {
    id,
    wrap: (key) => run('wrap', key),
    async unwrap(wrapped) {
      const key = await run('unwrap', wrapped)
      return key.length === 32 ? key : undefined
    },
  }
}

/** About a key of the configuration, never with its value. */
export function cannot(option: string, id: string, why: string): Error {
  return new Error(`Cannot use the key "${id}" of ${option}: ${why.replaceAll(/\s+/g, ' ')}`)
}
