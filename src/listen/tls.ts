import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  getCiphers,
  type SecureContextOptions,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls'
import type { TlsConfiguration } from '../config/configuration.ts'
import type { Log } from '../platform/log.ts'
import { watchFiles } from './watch-files.ts'

interface TlsFrontOptions {
  tls: TlsConfiguration
  http2: boolean
  handshakeMs: number
  /** Whether this process asks for certificates, where they come by ACME. */
  orders: boolean
  log: Log
  clock: { now(): Date }
}

/** Takes connections that begin with a ClientHello. */
export interface TlsFront {
  take(socket: Socket, hello: Buffer): void
  /** Begins what goes on beside requests: watching files, asking for certificates. */
  start(): void
  stop(): void
}

/**
 * TLS by the configuration. `secured` is told of each finished handshake. A certificate that changes holds for new
 * connections; the others go on undisturbed.
 * @throws Error naming the file that cannot be used
 */
export async function createTlsFront(
  options: TlsFrontOptions,
  secured: (socket: TLSSocket) => void,
): Promise<TlsFront> {
  const { tls, http2, handshakeMs, orders, log, clock } = options
  const common = { ...securityOf(tls), ...clientAuthOf(tls), ALPNProtocols: http2 ? ['h2', 'http/1.1'] : ['http/1.1'] }
  const begin = (more: TlsOptions) => serverOf({ ...common, ...more, handshakeTimeout: handshakeMs }, tls, secured)

  if ('acme' in tls.source) {
    const { createAcme } = await import('./acme.ts')
    const contextFor = (pair: SecureContextOptions) => createSecureContext({ ...common, ...pair })
    const acme = createAcme({ acme: tls.source.acme, contextFor, orders, log, clock })
    const server = begin({ SNICallback: (name, done) => done(null, acme.contextOf(name)) })
    return {
      take: (socket, hello) => void (acme.takeChallenge(socket, hello) || server.emit('connection', socket)),
      start: acme.start,
      stop: acme.stop,
    }
  }

  const { certificate, key } = tls.source
  const server = begin(readPair(certificate, key))
  const files = [certificate, key, ...tls.clientCas]
  const watch = watchFiles(files, () => {
    try {
      const fresh = { ...securityOf(tls), ...clientAuthOf(tls), ...readPair(certificate, key) }
      createSecureContext(fresh) // throws before the server's own is touched
      server.setSecureContext(fresh)
      log.info('tls.certificate-reloaded', { certificate })
    } catch (error) {
      log.error('tls.certificate-kept', { error: (error as Error).message, kept: 'the certificate read before' })
    }
  })
  return { take: (socket) => void server.emit('connection', socket), start: watch.start, stop: watch.stop }
}

function serverOf(options: TlsOptions, { clientAuth }: TlsConfiguration, secured: (socket: TLSSocket) => void) {
  const server = createServer(options)
  server.on('secureConnection', (socket) => {
    // Node knows only "whoever asks" and "signed by one of these"; the two between are decided here.
    const given = options.requestCert === true && 'raw' in socket.getPeerCertificate()
    const refused = given ? clientAuth === 'verify-if-given' && !socket.authorized : clientAuth === 'require-any'
    if (options.requestCert && refused) socket.destroy()
    else secured(socket)
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy()) // the alert has been sent
  return server
}

function securityOf({ minVersion, cipherSuites }: TlsConfiguration): SecureContextOptions {
  return { minVersion, ...(cipherSuites.length > 0 && { ciphers: ciphersOf(cipherSuites) }) }
}

function clientAuthOf({ clientCas, clientAuth }: TlsConfiguration): TlsOptions {
  if (clientCas.length === 0) return {}
  const ca = clientCas.map((file) => read(file, 'http.tls.clientcas'))
  return { ca, requestCert: true, rejectUnauthorized: clientAuth === 'require-and-verify' }
}

/** @throws Error naming the file, also when key and certificate do not belong together */
function readPair(certificate: string, key: string): { cert: Buffer; key: Buffer } {
  const pair = { cert: read(certificate, 'http.tls.certificate'), key: read(key, 'http.tls.key') }
  try {
    createSecureContext(pair)
    return pair
  } catch (cause) {
    const reason = (cause as Error).message
    throw new Error(
      `Cannot use certificate ${certificate} with key ${key}: ${reason}; expected a PEM chain and its key`,
      {
        cause,
      },
    )
  }
}

function read(file: string, key: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new Error(`Cannot read ${key} ${file}: ${(cause as Error).message}`, { cause })
  }
}

/** TLS 1.3 chooses for itself, as in Go. */
const tls13 = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']

/** OpenSSL's names of Go's cipher suites. @throws Error naming the one that is not known */
function ciphersOf(suites: string[]): string {
  const names = suites.filter((suite) => !tls13.includes(suite)).map(openSslName)
  const unknown = suites.find((_, index) => names[index] && !getCiphers().includes(names[index].toLowerCase()))
  if (unknown)
    throw new Error(
      `Cannot use http.tls.ciphersuites "${unknown}": expected names such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`,
    )
  return [...tls13, ...names].join(':')
}

function openSslName(suite: string): string {
  return suite
    .replace(/^TLS_/, '')
    .replace(/^RSA_WITH_/, '')
    .replace('_WITH_', '_')
    .replace(/AES_(\d+)/, 'AES$1')
    .replace('3DES_EDE_CBC', 'DES_CBC3')
    .replace(/(AES\d+)_CBC/, '$1')
    .replace(/POLY1305_SHA256$/, 'POLY1305')
    .replaceAll('_', '-')
}
