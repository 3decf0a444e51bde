import { resolve } from 'node:path'
import { type Build, withoutGaps, withoutUndefined } from './tools.ts'
import type { HttpConfiguration, TlsConfiguration } from '../configuration.ts'
import { addressKind } from '../kinds.ts'

/** The part of the configuration about HTTP, with what must go together there. */
export function buildHttp(build: Build): HttpConfiguration {
  const { values } = build.reading
  const { http } = values
  const origin = buildOrigin(build)
  return {
    address: buildAddress(build),
    prefix: buildPrefix(build),
    origin,
    // A host that was asked for shall be seen.
    relativeUrls: origin === undefined && http.relativeurls,
    drainMs: http.draintimeout,
    headers: buildHeaders(build),
    trustedProxies: withoutUndefined(values.holdfast.http.trustedproxies),
    http2: !http.http2.disabled,
    h2c: http.h2c.enabled,
    tls: http.tls && buildTls(build, http.tls),
    debug: http.debug?.addr && {
      address: http.debug.addr,
      metricsPath: http.debug.prometheus.enabled ? buildMetricsPath(build, http.debug.prometheus.path) : undefined,
    },
  }
}

function buildAddress({ reading, error, missing }: Build): HttpConfiguration['address'] {
  const { addr, net } = reading.values.http
  if (net === 'unix') {
    missing('http.addr', 'the path of the socket')
    return { path: resolve(addr) }
  }
  const address = addressKind.parse(addr)
  if (!address) error('http.addr', `is ${JSON.stringify(addr)}: expected ${addressKind.form}`)
  return address ?? { host: '127.0.0.1', port: 0 }
}

function buildMetricsPath({ error }: Build, path: string): string {
  if (!/^\/[^?#\s]*$/.test(path))
    error('http.debug.prometheus.path', `is ${JSON.stringify(path)}: expected a path such as /metrics`)
  return path
}

function buildPrefix({ reading, error }: Build): string {
  const { prefix } = reading.values.http
  if (!/^\/(?:[^/?#\s]+\/)*$/.test(prefix))
    error(
      'http.prefix',
      `is ${JSON.stringify(prefix)}: expected a path that starts and ends with a slash such as /registry/`,
    )
  return prefix
}

function buildOrigin({ reading, warn }: Build): string | undefined {
  const { host } = reading.values.http
  if (host === undefined) return undefined
  const url = URL.canParse(host) ? new URL(host) : undefined
  if (url && /^https?:$/.test(url.protocol)) {
    if (url.pathname !== '/') warn('http.host', `has the path ${url.pathname}, which is passed over: use http.prefix`)
    return url.origin
  }
  warn(
    'http.host',
    `is ${JSON.stringify(host)} and passed over: expected scheme and host such as https://registry.example.com`,
  )
  return undefined
}

function buildHeaders({ reading, error }: Build): Record<string, string[]> {
  const headers = withoutGaps(reading.values.http.headers)
  for (const [name, values] of Object.entries(headers)) {
    const path = `http.headers.${name}`
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name))
      error(path, 'is not the name of a header: expected letters, digits and hyphens')
    if (values.some((value) => /[^\t\x20-\x7e\x80-\xff]/.test(value)))
      error(path, 'has a value that no header can have: expected one line of Latin letters')
  }
  return headers
}

const clientAuth = {
  'request-client-cert': 'request',
  'require-any-client-cert': 'require-any',
  'verify-client-cert-if-given': 'verify-if-given',
  'require-and-verify-client-cert': 'require-and-verify',
} as const

type TlsKeys = NonNullable<Build['reading']['values']['http']['tls']>

function buildTls(build: Build, tls: TlsKeys): TlsConfiguration | undefined {
  const { origins } = build.reading
  const source = tlsSource(build, tls)
  if (!source) {
    const meansTls = ['key', 'clientcas', 'letsencrypt'].some((name) => origins.has(`http.tls.${name}`))
    const message = 'needs certificate and key, or letsencrypt.cachefile: without, the registry speaks plain HTTP'
    if (meansTls) build.error('http.tls', message)
    else if ([...origins.keys()].some((path) => path.startsWith('http.tls.'))) build.warn('http.tls', message)
    return undefined
  }
  if (/1\.[01]$/.test(tls.minimumtls))
    build.warn(
      'http.tls.minimumtls',
      `is "${tls.minimumtls}": versions before 1.2 are broken and not offered, tls1.2 is taken`,
    )
  return {
    source,
    minVersion: tls.minimumtls === 'tls1.3' ? 'TLSv1.3' : 'TLSv1.2',
    cipherSuites: withoutUndefined(tls.ciphersuites),
    clientCas: withoutUndefined(tls.clientcas).map((file) => resolve(file)),
    clientAuth: clientAuth[tls.clientauth],
  }
}

function tlsSource({ error, missing, warn }: Build, tls: TlsKeys): TlsConfiguration['source'] | undefined {
  const { certificate, key, letsencrypt } = tls
  if (certificate && letsencrypt?.cachefile)
    error('http.tls.letsencrypt', 'stands beside certificate: expected one of the two')
  if (certificate) {
    if (!key) missing('http.tls.key', 'the file with the key of the certificate')
    return { certificate: resolve(certificate), key: resolve(key ?? '') }
  }
  if (!letsencrypt?.cachefile) return undefined
  const hosts = withoutUndefined(letsencrypt.hosts)
  if (hosts.length === 0) warn('http.tls.letsencrypt.hosts', 'is empty: there will be no certificate for any name')
  const { directoryurl: directoryUrl, email, cachefile } = letsencrypt
  return { acme: { directoryUrl, hosts, email, cacheFolder: resolve(cachefile) } }
}
