import type { IncomingMessage } from 'node:http'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import type { Principal } from '../../auth/types.ts'
import type { ClientCertificateRule } from '../../config/configuration.ts'
import type { Audit } from './audit.ts'
import type { Directory } from './directory.ts'

/** What a certificate says of its holder, by the words of the rules. */
type Names = Record<ClientCertificateRule['field'], string[]>

/** Whom a certificate stands for, as long as it is good. */
interface Holder {
  account: string
  until: number
}

/** What is asked of a connection; HTTP/2 has several requests on one. */
type Peer = Partial<TLSSocket> & { connection?: object }

interface Deps {
  rules: ClientCertificateRule[]
  directory: Directory
  audit: Audit
  clock: { now(): Date }
}

/**
 * Users and robots by the certificates that their clients have shown in the TLS handshake, signed by one of `http.tls.clientcas`. What
 * a proxy says of certificates is not looked at, nor is its own taken for one of those whose requests it forwards.
 */
export function createCertificates({ rules, directory, audit, clock }: Deps) {
  const known = new WeakMap<object, Holder | 'nobody'>()

  function holderOf(socket: Peer): Holder | 'nobody' {
    const connection = socket.connection ?? socket
    const found = known.get(connection) ?? holderBy(rules, socket)
    known.set(connection, found)
    return found
  }

  return async function identify({ socket }: IncomingMessage, address: string): Promise<Principal | undefined> {
    const peer = socket as Peer
    if (peer.authorized !== true || socket.remoteAddress?.replace(/^::ffff:/, '') !== address) return undefined
    const holder = holderOf(peer)
    if (holder === 'nobody' || holder.until <= clock.now().getTime()) return undefined
    await directory.look()
    const account = await directory.account(holder.account)
    if (!account || account.kind === 'organization' || account.isDisabled) return undefined
    const { kind, name } = account
    audit.note({ action: 'sign-in', actor: name, address, target: 'certificate' }, `${name} ${address} certificate`)
    return { kind, name, address, until: holder.until }
  }
}

function holderBy(rules: ClientCertificateRule[], socket: Peer): Holder | 'nobody' {
  const certificate = socket.getPeerCertificate?.()
  if (!certificate?.valid_to) return 'nobody'
  const names = namesOf(certificate)
  for (const rule of rules) {
    const account = accountBy(rule, names)
    if (account !== undefined) return { account, until: Date.parse(certificate.valid_to) }
  }
  return 'nobody'
}

/** The account that a rule gives to one of these names. */
export function accountBy({ field, pattern, account }: ClientCertificateRule, names: Names): string | undefined {
  const [head = '', tail] = pattern.split('*')
  for (const name of names[field]) {
    if (tail === undefined) {
      if (name === pattern) return account
      continue
    }
    const middle = name.slice(head.length, name.length - tail.length)
    if (name === head + middle + tail && /^[\w.-]+$/.test(middle)) return account.replace('*', () => middle)
  }
  return undefined
}

/** The names in a certificate; none of a kind that cannot be read without doubt. */
export function namesOf({ subject, subjectaltname = '' }: Pick<PeerCertificate, 'subject' | 'subjectaltname'>): Names {
  const names: Names = { commonname: [], dns: [], uri: [], email: [] }
  if (typeof subject?.CN === 'string') names.commonname.push(subject.CN)
  // Node writes a value with anything odd in it as JSON, so that none can look like two.
  const entries = [...subjectaltname.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/gy)]
  if (entries.map(([text]) => text).join('') !== subjectaltname) return names
  for (const [, kind = '', text = ''] of entries) {
    const value = text.startsWith('"') ? (JSON.parse(text) as string) : text
    if (kind === 'DNS') names.dns.push(value.toLowerCase())
    if (kind === 'URI') names.uri.push(value)
    if (kind === 'email') names.email.push(value.toLowerCase())
  }
  return names
}
