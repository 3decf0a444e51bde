import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { failure } from './failure.ts'

/** A password or token: from standard input with `fromInput`, else asked for without showing it. @throws Error where nobody can be asked */
export async function readSecret(fromInput: boolean, prompt: string): Promise<string> {
  if (fromInput) return (await readInput()).replace(/\r?\n$/, '')
  if (!process.stdin.isTTY) throw failure('usage', `${prompt} cannot be asked for here: send it with --password-stdin`)
  process.stderr.write(`${prompt}: `)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  const secret = await lines.question('')
  lines.close()
  process.stderr.write('\n')
  return secret
}

/** A name, asked for where it was not given. */
export async function readName(given: string | undefined, prompt: string): Promise<string> {
  if (given !== undefined) return given
  if (!process.stdin.isTTY) throw failure('usage', `${prompt} is missing`)
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const name = await lines.question(`${prompt}: `)
  lines.close()
  return name.trim()
}

/** All of standard input. */
export async function readInput(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
