import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tethered } from './programs.ts'

/** What a browser keeps and sends, as far as sign-in goes by it: cookies, where a request comes from, redirects one by one. */
export function createBrowser() {
  const cookies = new Map<string, string>()

  async function visit(address: string | URL, init: RequestInit & { from?: string } = {}): Promise<Response> {
    const url = new URL(address)
    const { from, ...request } = init
    const jar = [...cookies].filter(([key]) => key.startsWith(`${url.host} `))
    const cookie = jar.map(([key, value]) => `${key.slice(url.host.length + 1)}=${value}`).join('; ')
    const reply = await fetch(url, {
      redirect: 'manual',
      ...request,
      headers: { ...(cookie && { Cookie: cookie }), ...(from !== undefined && { Origin: from }), ...request.headers },
    })
    for (const line of reply.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ')
      const [name = '', ...value] = pair.split('=')
      if (attributes.some((one) => one.toLowerCase() === 'max-age=0') || value.join('=') === '')
        cookies.delete(`${url.host} ${name}`)
      else cookies.set(`${url.host} ${name}`, value.join('='))
    }
    return reply
  }

  return {
    cookies,
    visit,
    /** Goes where redirects lead; gives the last answer and all addresses on the way. */
    async follow(address: string | URL, init: Parameters<typeof visit>[1] = {}) {
      const seen = [new URL(address).href]
      let reply = await visit(address, init)
      for (let left = 15; left > 0 && reply.headers.has('location'); left--) {
        const next = new URL(reply.headers.get('location')!, seen.at(-1)).href
        seen.push(next)
        reply = await visit(next)
      }
      return { reply, seen }
    },
    /** Sends a form as a page of this site does. */
    submit: (address: string | URL, fields: Record<string, string>, from = new URL(address).origin) =>
      visit(address, { method: 'POST', body: new URLSearchParams(fields), from }),
  }
}

export type TestBrowser = ReturnType<typeof createBrowser>

/** What a page of a real browser has, by the DevTools protocol. */
export interface ChromiumPage {
  /** A command of the protocol. @throws Error with what the browser says */
  send<Result = Record<string, unknown>>(method: string, params?: object): Promise<Result>
  /** Goes to an address, and waits until what is there is loaded. */
  open(address: string): Promise<void>
  /** The value of an expression in the page, awaited. @throws Error with what the page threw */
  evaluate<Value>(expression: string): Promise<Value>
  /** Does what leads to another page, and waits until that is loaded. */
  leadsOn(expression: string): Promise<void>
  /** Fills in the fields of the first form with these names, and presses its button of this text. */
  press(button: string, fields?: Record<string, string>): Promise<void>
  address(): Promise<string>
  text(): Promise<string>
}

/** Nothing in a page takes longer. */
const patienceMs = 8000

type Listener = (params: Record<string, unknown>) => void

/** Starts Debian's Chromium without a window. `trusted`: hashes of keys whose certificates are good for it (SPKI, SHA-256, base64). */
export async function startChromium(trusted: string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-chromium-'))
  // As root it has no sandbox; nothing shall go to the network that is not asked for.
  const flags =
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage'
  const own = [
    `--user-data-dir=${folder}`,
    '--remote-debugging-port=0',
    `--ignore-certificate-errors-spki-list=${trusted.join()}`,
  ]
  const [program, ...args] = [...tethered, 'chromium', ...flags.split(' '), ...own, 'about:blank']
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: folder } })
  const ended = once(child, 'close')
  let said = ''
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const found = /DevTools listening on (ws:\S+)/.exec(said)?.[1]
      if (found) resolve(found)
    })
    void ended.then(() => reject(new Error(`chromium does not start:\n${said.slice(-2000)}`)))
  })
  const socket = new WebSocket(address)
  await once(socket, 'open')

  let last = 0
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const listeners = new Map<string, Set<Listener>>()
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error, method, params, sessionId } = JSON.parse(String(data)) as {
      id?: number
      result?: unknown
      error?: { message: string }
      method?: string
      params?: Record<string, unknown>
      sessionId?: string
    }
    if (id === undefined)
      return void listeners.get(`${sessionId} ${method}`)?.forEach((listener) => listener(params ?? {}))
    const answer = waiting.get(id)!
    waiting.delete(id)
    if (error) answer.reject(new Error(error.message))
    else answer.resolve(result)
  })
  socket.addEventListener('close', () => waiting.forEach(({ reject }) => reject(new Error('chromium is gone'))))

  function send<Result>(method: string, params: object = {}, sessionId?: string): Promise<Result> {
    const answer = Promise.withResolvers<unknown>()
    waiting.set(++last, answer)
    const timer = setTimeout(() => answer.reject(new Error(`${method} takes longer than ${patienceMs} ms`)), patienceMs)
    const settled = () => clearTimeout(timer)
    answer.promise.then(settled, settled)
    socket.send(JSON.stringify({ id: last, method, params, sessionId }))
    return answer.promise as Promise<Result>
  }

  return {
    /** Opens a page, in a jar of cookies of its own. */
    async newPage(): Promise<ChromiumPage> {
      const { browserContextId } = await send<{ browserContextId: string }>('Target.createBrowserContext')
      const { targetId } = await send<{ targetId: string }>('Target.createTarget', {
        url: 'about:blank',
        browserContextId,
      })
      const { sessionId } = await send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
      const page = createPage(
        (method, params) => send(method, params, sessionId),
        (method, listener) => {
          const key = `${sessionId} ${method}`
          const all = listeners.get(key) ?? new Set()
          listeners.set(key, all.add(listener))
          return () => all.delete(listener)
        },
      )
      await page.send('Page.enable')
      return page
    },
    async close(): Promise<void> {
      void send('Browser.close').catch(() => {})
      await ended
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function createPage(send: ChromiumPage['send'], on: (method: string, listener: Listener) => () => void): ChromiumPage {
  async function loaded(work: () => Promise<unknown>): Promise<void> {
    const end = Promise.withResolvers<void>()
    const off = on('Page.loadEventFired', () => end.resolve())
    try {
      await work()
      await Promise.race([end.promise, late('the page does not load')])
    } finally {
      off()
    }
  }

  async function evaluate<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = await send<{
      result: { value: Value }
      exceptionDetails?: { text: string; exception?: { description?: string } }
    }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  return {
    send,
    evaluate,
    open: (url) =>
      loaded(async () => {
        const { errorText } = await send<{ errorText?: string }>('Page.navigate', { url })
        if (errorText) throw new Error(`${url}: ${errorText}`)
      }),
    leadsOn: (expression) => loaded(() => evaluate(`void (${expression})`)),
    press: (button, fields = {}) =>
      loaded(() =>
        evaluate(`{
          const fields = ${JSON.stringify(fields)}
          for (const [name, value] of Object.entries(fields)) document.querySelector('[name=' + name + ']').value = value
          const all = [...document.querySelectorAll('button')]
          const found = all.find((one) => one.textContent.trim() === ${JSON.stringify(button)})
          if (!found) throw new Error('no such button among ' + all.map((one) => one.textContent).join())
          found.click()
        }`),
      ),
    address: () => evaluate('location.href'),
    text: () => evaluate('document.body.innerText'),
  }
}

async function late(message: string): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, patienceMs).unref())
  throw new Error(message)
}
