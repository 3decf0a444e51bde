import { addressKind, booleanKind, cipherKind, durationKind, textKind, urlKind, wordKind } from '../kinds.ts'
import { dictionary, key, list, option, section } from '../nodes.ts'

const letsEncrypt = 'https://acme-v02.api.letsencrypt.org/directory'

const tls = option('HTTPS; without it the registry speaks plain HTTP.', {
  certificate: key(textKind, 'The file with the certificate and those of its signers (PEM).'),
  key: key(textKind, "The file with the certificate's private key (PEM)."),
  clientcas: list('Clients need a certificate signed by one of these.', key(textKind, 'A file of certificates (PEM).')),
  clientauth: key(
    wordKind([
      'request-client-cert',
      'require-any-client-cert',
      'verify-client-cert-if-given',
      'require-and-verify-client-cert',
    ]),
    "What is asked of a client's certificate, where `clientcas` are named.",
    { default: 'require-and-verify-client-cert' },
  ),
  minimumtls: key(
    wordKind(['tls1.0', 'tls1.1', 'tls1.2', 'tls1.3']),
    'The oldest version of TLS; 1.0 and 1.1 are not offered any more.',
    { default: 'tls1.2' },
  ),
  ciphersuites: list(
    'The cipher suites that are offered; all sound ones by default.',
    key(cipherKind, "Go's name of it."),
  ),
  letsencrypt: option('Certificates by ACME, from Let’s Encrypt or another directory.', {
    cachefile: key(textKind, 'The folder (not a file) that keeps the account and the certificates.'),
    email: key(textKind, 'Where the authority writes to.'),
    hosts: list('The names the certificates are for.', key(textKind, 'A host name.')),
    directoryurl: key(urlKind, "The authority's ACME directory.", { default: letsEncrypt }),
  }),
})

export const http = section('Where and how the registry is reached.', {
  addr: key(textKind, 'Where to listen: HOST:PORT, or with `net: unix` the path of a socket.', {
    default: { file: ':5000', none: '127.0.0.1:5000' },
  }),
  net: key(wordKind(['tcp', 'unix']), 'What `addr` is.', { default: 'tcp' }),
  prefix: key(textKind, 'The path above `/v2/`; it starts and ends with a slash.', { default: '/' }),
  host: key(
    textKind,
    'What absolute URLs begin with, as https://registry.example.com; as the request came by default.',
  ),
  secret: key(textKind, 'Signs the state of uploads in registry:2.', {
    secret: true,
    status: { ignored: 'the state of an upload is kept in the database, so there is nothing to sign', quiet: true },
  }),
  relativeurls: key(booleanKind, 'Whether `Location` is a path without scheme and host; `http.host` comes first.', {
    default: 'true',
  }),
  draintimeout: key(durationKind, 'How long requests in flight may take when the registry stops.', { default: '30s' }),
  tls,
  headers: dictionary('Headers of every answer under `/v2/`.', list('The header.', key(textKind, 'A value of it.'))),
  debug: option('A second listener, for operators: /debug/health and the metrics. Not for the public.', {
    addr: key(addressKind, 'Where it listens.'),
    prometheus: section('Metrics for Prometheus.', {
      enabled: key(booleanKind, 'Whether they are served.', { default: 'false' }),
      path: key(textKind, 'Under which path.', { default: '/metrics' }),
    }),
  }),
  http2: section('HTTP/2 over TLS.', {
    disabled: key(booleanKind, 'Whether only HTTP/1.1 is offered.', { default: 'false' }),
  }),
  h2c: section('HTTP/2 without TLS.', {
    enabled: key(booleanKind, 'Whether it is offered, for proxies in front.', { default: 'false' }),
  }),
})
