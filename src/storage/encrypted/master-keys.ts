import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { unwrap, wrap } from './format.ts'

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

/** A key service is asked once for each key of the volume, at the start. */
const commandMs = 30_000
const maxAnswer = 1 << 20

/** @throws Error that says what to do when the key cannot be had */
export async function openMasterKey(options: MasterKeyOptions, timeoutMs = commandMs): Promise<MasterKey> {
  const { id } = options
  if (options.kind === 'command') return commandKey(id, options.command, timeoutMs)
  const key = options.kind === 'key' ? decodeKey(Buffer.from(options.key)) : await readKey(id, options.path)
  if (!key) throw cannot(id, `expected ${form}`)
  return { id, wrap: async (inner) => wrap(inner, key), unwrap: async (wrapped) => unwrap(wrapped, key) }
}

const form = '32 bytes, as 64 hexadecimal digits, in base64 or as they are (openssl rand -hex 32)'

async function readKey(id: string, path: string): Promise<Buffer | undefined> {
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw cannot(id, `${path} cannot be read (${error.code ?? error.message})`)
  })
  const key = decodeKey(content)
  if (!key) throw cannot(id, `${path} holds no key: expected ${form}`)
  return key
}

function decodeKey(content: Buffer): Buffer | undefined {
  if (content.length === 32) return content
  const text = content.toString('latin1').trim()
  if (/^[\da-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  return /^[\w+/-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** What a program does with it: base64 on a line goes in, base64 comes out. */
function commandKey(id: string, [program, ...args]: string[], timeout: number): MasterKey {
  function run(action: 'wrap' | 'unwrap', input: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = { timeout, killSignal: 'SIGKILL' as const, maxBuffer: maxAnswer }
      const child = execFile(program!, [...args, action], options, (error, stdout, stderr) => {
        if (error) return reject(cannot(id, whyFailed(`${program} ${action}`, error, stderr)))
        const text = stdout.trim()
        if (!/^[\w+/-]+=*$/.test(text)) return reject(cannot(id, `${program} ${action} gave no base64`)) // never shown
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
export function cannot(id: string, why: string): Error {
  return new Error(`Cannot use the key "${id}" of holdfast.storage.encryption.keys: ${why.replaceAll(/\s+/g, ' ')}`)
}
