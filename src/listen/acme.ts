import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, createServer, type SecureContext } from 'node:tls'
import type { TlsConfiguration } from '../config/configuration.ts'
import { http } from '../platform/http.ts'
import type { Log } from '../platform/log.ts'
import { send } from '../platform/send.ts'
import { watchFiles } from './watch-files.ts'

interface AcmeOptions {
  acme: Extract<TlsConfiguration['source'], { acme: unknown }>['acme']
  contextFor(pair: { cert: string; key: string }): SecureContext
  /** Whether this process asks for certificates; others on the machine take what it got from the folder. */
  orders: boolean
  log: Log
  clock: { now(): Date }
}

interface Held {
  context: SecureContext
  from: number
  to: number
}

const minute = 60_000
const maxPause = 6 * 60 * minute
const challengeProtocol = 'acme-tls/1'
/** The names of Go's autocert, so that a registry:2 takes the folder over and gives it back. */
const accountFile = 'acme_account+key'
/** What proves a host to the directory, for the process that it happens to ask. */
const proofFile = (host: string) => `${host}+token`

/**
 * Certificates from an ACME directory (RFC 8555) for the hosts of the list and no other, kept in the cache folder and asked for
 * again when a third of their time is left. The directory looks at TLS-ALPN-01 (RFC 8737) on our own port or, where that
 * did not do, at HTTP-01 on port 80.
 */
export function createAcme({ acme, contextFor, orders, log, clock }: AcmeOptions) {
  const hosts = acme.hosts.map(checkedHost)
  const held = new Map<string, Held>()
  const attempts = new Map<string, { failed: number; next: number }>()
  const challenges = new Map<string, SecureContext>()
  let timer: NodeJS.Timeout | undefined
  let looking = Promise.resolve()
  let stopped = false

  mkdirSync(acme.cacheFolder, { recursive: true, mode: 0o700 })
  const pathOf = (name: string) => join(acme.cacheFolder, name)
  holdAll()
  if (hosts.length === 0)
    log.warn('acme.no-hosts', { do: 'name the hosts in http.tls.letsencrypt.hosts: all are refused' })

  const challengeServer = createServer({
    ALPNProtocols: [challengeProtocol],
    handshakeTimeout: 10_000,
    SNICallback: (name, done) => done(null, proofOf(name.toLowerCase())),
  })
  challengeServer.on('secureConnection', (socket) => socket.end())
  challengeServer.on('tlsClientError', (_error, socket) => socket.destroy())
  const watch = watchFiles(hosts.map(pathOf), holdAll)

  function holdAll(): void {
    for (const host of hosts) {
      const pem = readIfThere(pathOf(host))
      if (pem !== undefined) hold(host, pem)
    }
  }

  /** What another process has for the directory lies in the folder. */
  function proofOf(host: string): SecureContext | undefined {
    const known = challenges.get(host)
    if (known || orders || !hosts.includes(host)) return known
    const pem = readIfThere(pathOf(proofFile(host)))
    return pem === undefined ? undefined : createSecureContext({ key: pem, cert: pem })
  }

  function hold(host: string, pem: string): void {
    try {
      const certificate = new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')))
      if (!certificate.checkHost(host)) throw new Error('it is for another host')
      const context = contextFor({ cert: pem, key: pem })
      held.set(host, { context, from: certificate.validFromDate.getTime(), to: certificate.validToDate.getTime() })
    } catch (error) {
      log.error('acme.certificate-unusable', { host, folder: acme.cacheFolder, error: (error as Error).message })
    }
  }

  async function look(): Promise<void> {
    for (const host of hosts) {
      const now = clock.now().getTime()
      if (stopped || !isDue(held.get(host), now) || (attempts.get(host)?.next ?? 0) > now) continue
      const failed = attempts.get(host)?.failed ?? 0
      try {
        save(pathOf(host), await obtainAnyHow(host))
        hold(host, readIfThere(pathOf(host))!)
        attempts.delete(host)
        log.info('acme.certificate-obtained', { host })
      } catch (error) {
        const pause = Math.min(maxPause, minute * 2 ** failed)
        attempts.set(host, { failed: failed + 1, next: now + pause })
        log.error('acme.failed', { host, error: (error as Error).message, 'again-in': `${pause / minute} minutes` })
      }
    }
  }

  async function obtainAnyHow(host: string): Promise<string> {
    try {
      return await obtain(host, 'tls-alpn-01')
    } catch (first) {
      if (stopped) throw first
      log.warn('acme.not-by-tls-alpn', { host, error: (first as Error).message, next: 'http-01 on port 80' })
      return obtain(host, 'http-01')
    }
  }

  /** The key and chain as one PEM text. */
  async function obtain(host: string, kind: 'tls-alpn-01' | 'http-01'): Promise<string> {
    const { axios, Client, crypto } = await import('acme-client') // only who asks for certificates pays for it
    Object.assign(axios.defaults, { acmeSettings: { retryMaxAttempts: 1, retryDefaultDelay: 1 } }) // we try again ourselves
    await reach(acme.directoryUrl)
    const accountPath = pathOf(accountFile)
    if (readIfThere(accountPath) === undefined) save(accountPath, String(await crypto.createPrivateEcdsaKey()))
    const client = new Client({
      directoryUrl: acme.directoryUrl,
      accountKey: pkcs8(readIfThere(accountPath)!),
      backoffMin: 1000,
    })
    const [key, csr] = await crypto.createCsr(
      { commonName: host, altNames: [host] },
      await crypto.createPrivateEcdsaKey(),
    )
    const answers = kind === 'http-01' ? await answerOnPort80() : undefined
    try {
      const chain = await client.auto({
        csr,
        ...(acme.email !== undefined && { email: acme.email }),
        termsOfServiceAgreed: true,
        skipChallengeVerification: true, // from here the way may be another than from outside
        challengePriority: [kind],
        async challengeCreateFn(authorization, { type, token }, proof) {
          if (type !== kind) throw new Error(`the directory does not offer ${kind}`)
          answers?.tokens.set(token, proof)
          if (kind === 'http-01') return
          const [proofKey, cert] = await crypto.createAlpnCertificate(authorization, proof)
          challenges.set(host, createSecureContext({ key: proofKey, cert }))
          save(pathOf(proofFile(host)), `${String(proofKey).trim()}\n${cert}`)
        },
        challengeRemoveFn: async () => undefined,
      })
      return `${String(key).trim()}\n${chain}`
    } finally {
      challenges.delete(host)
      rmSync(pathOf(proofFile(host)), { force: true })
      answers?.close()
    }
  }

  return {
    /** What to answer a client with that asks for this name; undefined ends the handshake. */
    contextOf: (name: string): SecureContext | undefined => held.get(name.toLowerCase())?.context,
    /** Answers the directory when it looks; false when this is somebody else. */
    takeChallenge(socket: Socket, hello: Buffer): boolean {
      const mayBeAsked = () =>
        challenges.size > 0 || (!orders && hosts.some((host) => existsSync(pathOf(proofFile(host)))))
      if (!hello.includes(challengeProtocol) || !mayBeAsked()) return false
      challengeServer.emit('connection', socket)
      return true
    },
    start(): void {
      if (!orders) return watch.start()
      const soon = () => (looking = looking.then(look))
      timer = setInterval(soon, minute).unref()
      void soon()
    },
    stop(): void {
      stopped = true
      watch.stop()
      clearInterval(timer)
    },
  }
}

/** @throws Error when no certificate can be had for it, or its file would lie elsewhere */
function checkedHost(host: string): string {
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(host)) return host.toLowerCase()
  throw new Error(`Cannot use http.tls.letsencrypt.hosts "${host}": expected a name such as registry.example.com`)
}

function isDue(certificate: Held | undefined, now: number): boolean {
  return !certificate || certificate.to - now < (certificate.to - certificate.from) / 3
}

/** @throws Error that says why the directory does not answer; acme-client loses the reason */
async function reach(url: string): Promise<void> {
  try {
    await send(url, { method: 'HEAD', headers: {}, signal: AbortSignal.timeout(30_000) }) // fetch does not ask at every port
  } catch (cause) {
    const { message, code } = cause as Error & { code?: string }
    throw new Error(`cannot reach ${url}: ${message || code}`, { cause })
  }
}

/** @throws Error when port 80 cannot be had */
async function answerOnPort80() {
  const tokens = new Map<string, string>()
  const server = http.createServer((request, response) => {
    const proof = tokens.get(request.url?.replace('/.well-known/acme-challenge/', '') ?? '')
    response.writeHead(proof === undefined ? 404 : 200, {
      'Content-Type': 'application/octet-stream',
      Connection: 'close',
    })
    response.end(proof)
  })
  server.listen(80)
  await once(server, 'listening')
  return { tokens, close: () => void server.close() }
}

/** autocert writes its account key in the older form. */
function pkcs8(pem: string): string {
  return createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString()
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`Cannot read ${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** Whole or not at all, and for nobody else to read. */
function save(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
