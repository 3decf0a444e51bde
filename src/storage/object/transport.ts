import { randomInt } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { hasProxy, http, proxies } from '../../platform/http.ts'
import { bodyOf, usualIdleMs } from './body.ts'
import type { StoreRequest } from './address.ts'
import { type ObjectBody, StoreError } from './store.ts'
import { createWire } from './wire.ts'

/** How long a store may keep silent before it counts as gone, and how often something is tried in all. */
export interface Patience {
  idleMs: number
  /** The same while it copies or puts parts together, which may take it minutes without a word. */
  slowMs: number
  attempts: number
  /** The first pause before another try; each is twice as long as the one before, and less by chance. */
  pauseMs: number
  /** From 0 to 1. */
  random(): number
}

const patience: Patience = {
  idleMs: usualIdleMs,
  slowMs: 300_000,
  attempts: 4,
  pauseMs: 200,
  random: () => randomInt(1000) / 1000,
}
const maxTextBytes = 16 << 20
const passing = new Set([408, 429, 500, 502, 503, 504])
const passingReasons = new Set(['RequestTimeout', 'SlowDown', 'InternalError', 'ExpiredToken', 'cut'])
/** Who works for long says 200 first, and only then how it went. */
const saysItFailed = /^\s*(?:<\?xml[^>]*>)?\s*<Error>/

export interface SendOptions {
  /** The store may work for minutes before it answers. */
  slow?: boolean
  /** Statuses that are an answer and no failure, beside 2xx. */
  expect?: number[]
}

/** Sends requests to a store over connections that stay open, again when that may help. */
export function createTransport({ skipVerify, ...given }: { skipVerify: boolean } & Partial<Patience>) {
  const { idleMs, slowMs, attempts, pauseMs, random } = { ...patience, ...given }
  const https = process.getBuiltinModule('node:https')
  // The operator's proxy, as for webhooks.
  const settings = { keepAlive: true, maxFreeSockets: 64, proxyEnv: proxies() }
  const agents = {
    'http:': new http.Agent(settings),
    'https:': new https.Agent({ ...settings, rejectUnauthorized: !skipVerify }),
  }

  // A proxy is spoken to by Node's client.
  const wire = hasProxy() ? undefined : createWire({ skipVerify })

  function sendOnce(request: StoreRequest, idle: number): Promise<IncomingMessage> {
    const { endpoint, method, path, headers, body } = request
    const { protocol, hostname, port } = endpoint
    const options: RequestOptions = { protocol, hostname, port, method, path, headers, agent: agents[protocol] }
    return new Promise((resolve, reject) => {
      const sent = (protocol === 'https:' ? https : http).request(options, (answer) => {
        answer.on('error', () => undefined) // whoever reads it is told as well
        resolve(answer)
      })
      sent.setTimeout(idle, () => sent.destroy(new Error(`silent for ${idle / 1000} s`)))
      sent.on('error', reject)
      for (const chunk of body) sent.write(chunk)
      sent.end()
    })
  }

  async function attempt(request: StoreRequest, { slow, expect = [] }: SendOptions): Promise<IncomingMessage> {
    const answer = await sendOnce(request, slow ? slowMs : idleMs).catch((cause: Error & { code?: string }) => {
      throw new StoreError(`no answer from ${hostOf(request)}: ${cause.message || cause.code}`, { cause })
    })
    const { statusCode: status = 0 } = answer
    if ((status >= 200 && status < 300) || expect.includes(status)) return answer
    const { reason, said } = reasonOf(answer, await textOf(answer).catch(() => ''))
    const what = `${request.method} ${request.path.split('?')[0]}`
    throw new StoreError(
      `${hostOf(request)} answered ${what} with ${[status, reason, said].filter(Boolean).join(' ')}`,
      {
        status,
        reason,
      },
    )
  }

  /**
   * Sends the request that `make` gives, which is asked for every attempt, for it bears the time. The answer's body is the caller's.
   * @throws StoreError
   */
  async function send(make: () => Promise<StoreRequest>, options: SendOptions = {}): Promise<IncomingMessage> {
    const begun = performance.now()
    for (let tries = 1; ; tries++) {
      const request = await make()
      try {
        return await attempt(request, options)
      } catch (error) {
        if (!(error instanceof StoreError) || tries >= attempts || !mayPass(error)) throw error
        if (performance.now() - begun > 2.5 * (options.slow ? slowMs : idleMs)) throw error // a store that keeps silent: a client waits for us
        await setTimeout(pauseMs * 2 ** (tries - 1) * (0.5 + random() / 2))
      }
    }
  }

  /** The same for an answer that is a short text; one that says it failed after all, or is cut, is a failure as well. */
  async function sendForText(make: () => Promise<StoreRequest>, options: SendOptions = {}) {
    for (let tries = 1; ; tries++) {
      const answer = await send(make, options)
      const { statusCode: status = 0, headers } = answer
      const text = await textOf(answer).catch((cause: Error) => cause)
      if (typeof text === 'string' && !(status < 300 && saysItFailed.test(text))) return { status, headers, text }
      const reason = typeof text === 'string' ? (tagOf(text, 'Code') ?? '') : 'cut'
      const said = typeof text === 'string' ? tagOf(text, 'Message') : text.message
      if (tries >= attempts || !passingReasons.has(reason))
        throw new StoreError(`the store failed: ${reason} ${said ?? ''}`, { status, reason })
      await setTimeout(pauseMs)
    }
  }

  /**
   * Opens an object, or a part of it. @returns undefined when there is none
   * @throws StoreError
   */
  async function open(make: () => Promise<StoreRequest>, { isPart }: { isPart: boolean }): Promise<Opened | undefined> {
    const opened = (await wire?.(await make(), idleMs)) ?? (await openSlowly(make))
    if (!opened || !isPart || opened.status === 206) return opened
    opened.body.destroy()
    throw new StoreError('the store sent all of an object where a part was asked for')
  }

  async function openSlowly(make: () => Promise<StoreRequest>): Promise<Opened | undefined> {
    const answer = await send(make, { expect: [404] })
    if (await isMissing(answer)) return undefined
    return { status: answer.statusCode!, headers: answer.headers, body: bodyOf(answer) }
  }

  return { send, sendForText, open }
}

interface Opened {
  status: number
  headers: IncomingHttpHeaders
  body: ObjectBody
}

/** Whether an answer says that an object is not there. @throws StoreError when it is the bucket that is not there */
export async function isMissing(answer: IncomingMessage): Promise<boolean> {
  if (answer.statusCode !== 404) return false
  const { reason, said } = reasonOf(answer, await textOf(answer).catch(() => ''))
  if (['', 'NoSuchKey', 'BlobNotFound'].includes(reason)) return true
  if (reason === 'notFound' && !/bucket does not exist/.test(said)) return true
  throw new StoreError(`the store answered ${reason}`, { status: 404, reason })
}

/** The store's word for what is wrong, and its sentence: in XML, in a header, or in JSON. */
function reasonOf({ headers }: IncomingMessage, text: string): { reason: string; said: string } {
  if (!text.startsWith('{')) {
    const reason = tagOf(text, 'Code') ?? String(headers['x-ms-error-code'] ?? '')
    return { reason, said: tagOf(text, 'Message')?.split('\n')[0] ?? '' }
  }
  try {
    const { error } = JSON.parse(text) as { error: { message?: string; errors?: { reason?: string }[] } }
    return { reason: error.errors?.[0]?.reason ?? '', said: error.message ?? '' }
  } catch {
    return { reason: '', said: '' }
  }
}

function mayPass({ status, reason }: StoreError): boolean {
  return status === 0 || passing.has(status) || passingReasons.has(reason)
}

function hostOf({ endpoint }: StoreRequest): string {
  return `${endpoint.hostname}:${endpoint.port}`
}

/** Reads an answer that must be short. */
async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxTextBytes) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The text of the first element of this name. Stores send no more of XML than elements, texts and entities. */
export function tagOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1]
  return text?.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (whole, hex: string, decimal: string, entity: string) =>
    hex || decimal ? String.fromCodePoint(Number.parseInt(hex ?? decimal, hex ? 16 : 10)) : (entities[entity] ?? whole),
  )
}

/** The inner text of all elements of this name, which do not hold one another. */
export function tagsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?: [^>]*)?>([^]*?)</${name}>`, 'g'))].map(([, inner = '']) => inner)
}
