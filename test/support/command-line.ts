import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const main = join(import.meta.dirname, '../../src/main.ts')

/** Runs the program as a user does, each time in the environment that `env` gives. */
export function commandLine(env: () => NodeJS.ProcessEnv) {
  async function holdfast(args: string[], input = ''): Promise<{ code: number | null; out: string; errors: string }> {
    const child = spawn(process.execPath, [main, ...args], { env: env(), timeout: 60_000 })
    let [out, errors] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.stdin.end(input)
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, out: out.trim(), errors: errors.trim() }
  }

  /** The same for what must succeed; gives what it printed. */
  async function must(args: string[], input = ''): Promise<string> {
    const { code, out, errors } = await holdfast(args, input)
    assert.equal(code, 0, `${args.join(' ')}: ${errors}`)
    return out
  }

  return { holdfast, must }
}
