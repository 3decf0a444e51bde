import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One request of `corpus.jsonl` and what a registry may answer. */
export interface HostileRequest {
  id: string
  group: string
  method: string
  path: string
  headers: [name: string, value: string][]
  why: string
  expect: {
    status: number[]
    code?: string[]
    /** Text that may stand nowhere in an answer, besides what no error may show. */
    not_body?: string[]
    no_header?: string[]
    max_responses?: number
    max_seconds?: number
  }
  body?: string
  body_b64?: string
  body_gen?: GeneratedBody
  /** The whole request as it goes over the wire. */
  raw_b64?: string
  raw_parts?: (string | { repeat: string; n: number })[]
  half_close?: boolean
  drip?: { text: string; every: number; times: number }
  noread?: number
}

type GeneratedBody = Partial<Record<'pre' | 'unit' | 'post' | 'open' | 'mid' | 'close' | 'fmt', string>> & {
  kind: 'repeat' | 'nest' | 'wrap' | 'seq'
  n: number
}

export function readCorpus(): HostileRequest[] {
  const lines = readFileSync(join(import.meta.dirname, 'corpus.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => JSON.parse(line) as HostileRequest)
}

/** What the requests are about: content pushed before they are sent. */
export interface Seed {
  host: string
  values: Record<string, string>
  /** Path and query of a new upload session. */
  startUpload(): Promise<string>
}

/** The bytes of the request; each request gets an upload session of its own if it speaks of one. */
export async function buildRequest(request: HostileRequest, seed: Seed): Promise<Buffer> {
  const values = { ...seed.values, authline: '', rand: `t${randomUUID().slice(0, 10).replace('-', '')}` }
  if (JSON.stringify(request).includes('{{up') || rawOf(request)?.includes('{{up')) {
    const up = await seed.startUpload()
    const path = up.split('?')[0]!
    Object.assign(values, { up, upq: up.includes('?') ? '&' : '?', uppath: path, upid: path.split('/').at(-1) })
  }
  const fill = (text: string) =>
    text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => (values as Record<string, string>)[name] ?? whole)
  const fillBytes = (bytes: Buffer) => Buffer.from(fill(bytes.toString('latin1')), 'latin1')

  if (request.raw_b64 !== undefined) return fillBytes(Buffer.from(request.raw_b64, 'base64'))
  if (request.raw_parts) {
    return Buffer.concat(
      request.raw_parts.map((part) =>
        typeof part === 'string'
          ? Buffer.from(fill(part), 'latin1')
          : Buffer.from(fill(part.repeat).repeat(part.n), 'latin1'),
      ),
    )
  }
  let body: Buffer | undefined
  if (request.body !== undefined) body = toBytes(fill(request.body))
  else if (request.body_b64 !== undefined) body = fillBytes(Buffer.from(request.body_b64, 'base64'))
  else if (request.body_gen) body = toBytes(generate(request.body_gen, fill))
  return Buffer.concat([toBytes(headOf(request, { fill, host: seed.host, body })), body ?? Buffer.alloc(0)])
}

function rawOf({ raw_b64, body_b64 }: HostileRequest): string | undefined {
  const raw = raw_b64 ?? body_b64
  return raw && Buffer.from(raw, 'base64').toString('latin1')
}

function headOf(
  { method, path, headers }: HostileRequest,
  { fill, host, body }: { fill(text: string): string; host: string; body: Buffer | undefined },
): string {
  const names = headers.map(([name]) => name.toLowerCase())
  const lines = headers.map(([name, value]) => `${name}: ${fill(value)}`)
  if (!names.includes('host')) lines.unshift(`Host: ${host}`)
  if (body && !names.includes('content-length') && !names.includes('transfer-encoding'))
    lines.push(`Content-Length: ${body.length}`)
  if (!names.includes('connection')) lines.push('Connection: close')
  return `${method} ${fill(path)} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

function generate({ kind, n, ...parts }: GeneratedBody, fill: (text: string) => string): string {
  const part = (name: keyof typeof parts) => fill(parts[name] ?? '')
  switch (kind) {
    case 'repeat':
      return part('pre') + part('unit').repeat(n) + part('post')
    case 'nest':
      return part('open').repeat(n) + part('mid') + part('close').repeat(n)
    case 'wrap':
      return part('pre') + part('open').repeat(n) + part('close').repeat(n) + part('post')
    case 'seq':
      return (
        part('pre') + Array.from({ length: n }, (_, i) => parts.fmt!.replace('%d', String(i))).join('') + part('post')
      )
  }
}

/** UTF-8, in which half a surrogate pair keeps its three bytes as broken clients send them. */
function toBytes(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text)
  return Buffer.concat(
    [...text].map((character) => {
      if (character.isWellFormed()) return Buffer.from(character)
      const code = character.charCodeAt(0)
      return Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)])
    }),
  )
}
