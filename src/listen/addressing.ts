import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { HttpConfiguration } from '../config/configuration.ts'
import { http } from '../platform/http.ts'

/** What a trusted proxy says of the request it forwards. */
interface Forwarded {
  client?: string | undefined
  proto?: string | undefined
  host?: string | undefined
}

/**
 * How the registry and its clients are called from outside: the prefix of our paths, absolute URLs, and what trusted proxies
 * say. Undefined when nothing of it is configured, so that a request costs nothing more.
 */
export function createAddressing(http: HttpConfiguration) {
  const { prefix, origin, relativeUrls, headers: more, trustedProxies } = http
  const added = Object.entries(more).flatMap(([name, values]) => values.map((value) => checked(name, value)))
  const absolute = origin !== undefined || !relativeUrls
  if (prefix === '/' && !absolute && added.length === 0 && trustedProxies.length === 0) return undefined
  const forwardedOf = createForwarded(trustedProxies)
  const baseOf = createBase(http)
  const outside = prefix.slice(0, -1)

  function urlsOf(message: IncomingMessage, headers: string[]): string[] {
    const base = absolute ? baseOf(message) : outside
    const changed = [...headers]
    for (let i = 0; i < changed.length; i += 2) {
      // Another server's URL, such as an object store's, is none of ours.
      if (changed[i] === 'Location' && changed[i + 1]!.startsWith('/')) changed[i + 1] = `${base}${changed[i + 1]}`
      if (changed[i] === 'Link') changed[i + 1] = `<${base}${changed[i + 1]!.slice(1)}`
    }
    return changed
  }

  /** What the answer says itself stays. */
  function withAdded(headers: string[]): string[] {
    const missing = added.filter(([name]) => !hasHeader(headers, name))
    return missing.length === 0 ? headers : [...headers, ...missing.flat()]
  }

  return {
    /** The target without the prefix; without it there is nothing below `/v2/`. */
    target(target: string): string {
      if (outside === '') return target
      if (target.startsWith(prefix)) return target.slice(outside.length)
      return target.startsWith('/v2') ? '/not-below-the-prefix' : target
    },
    client(message: IncomingMessage): string {
      return forwardedOf(message).client ?? plainAddress(message.socket.remoteAddress ?? '')
    },
    headers(message: IncomingMessage, path: string, headers: string[]): string[] {
      const located = outside !== '' || absolute ? headers.includes('Location') || headers.includes('Link') : false
      const own = located ? urlsOf(message, headers) : headers
      return added.length > 0 && path.startsWith('/v2') ? withAdded(own) : own
    },
  }
}

/**
 * What stands before the paths of a registry, as whoever sent the request calls it: `https://registry.example.com`, with the
 * prefix. Only the prefix where that is not to be known: relative rather than something a client was made to say.
 */
export function createBase({
  prefix,
  origin,
  trustedProxies,
}: HttpConfiguration): (message: IncomingMessage) => string {
  const forwardedOf = createForwarded(trustedProxies)
  const outside = prefix.slice(0, -1)
  return (message) => {
    if (origin !== undefined) return `${origin}${outside}`
    const { proto, host } = forwardedOf(message)
    const scheme = proto ?? ('encrypted' in message.socket && message.socket.encrypted ? 'https' : 'http')
    const name = host ?? message.headers.host ?? ''
    return isHost(name) ? `${scheme}://${name}${outside}` : outside
  }
}

function createForwarded(trustedProxies: string[]): (message: IncomingMessage) => Forwarded {
  const isTrusted = trustOf(trustedProxies)
  return (message) => {
    const { remoteAddress } = message.socket
    return remoteAddress !== undefined && isTrusted(remoteAddress) ? readForwarded(message, isTrusted) : {}
  }
}

/** @throws Error when no answer could carry the header */
function checked(name: string, value: string): [name: string, value: string] {
  try {
    http.validateHeaderName(name)
    http.validateHeaderValue(name, value)
    return [name, value]
  } catch (cause) {
    throw new Error(`Cannot use http.headers "${name}: ${value}": ${(cause as Error).message}`, { cause })
  }
}

/** Reads `Forwarded` (RFC 7239) where it is there, else the `X-` headers that came before it. */
function readForwarded({ headers }: IncomingMessage, isTrusted: (address: string) => boolean): Forwarded {
  const steps = list(headers.forwarded).map(parseStep)
  if (steps.length > 0) {
    const addresses = steps.map((step) => addressOf(step.for ?? ''))
    const step = steps[clientAt(addresses, isTrusted)]!
    return { client: asAddress(addressOf(step.for ?? '')), proto: protoOf(step.proto), host: step.host }
  }
  const heard = list(headers['x-forwarded-for']).map(addressOf)
  return {
    client: asAddress(heard[clientAt(heard, isTrusted)] ?? addressOf(text(headers['x-real-ip']))),
    proto: protoOf(list(headers['x-forwarded-proto'])[0]),
    host: list(headers['x-forwarded-host'])[0],
  }
}

/** Each proxy adds at the end whom it heard: the last one that is none of ours is the client, what stands before is hearsay. */
function clientAt(addresses: string[], isTrusted: (address: string) => boolean): number {
  return Math.max(
    0,
    addresses.findLastIndex((address) => !isTrusted(address)),
  )
}

function asAddress(text: string): string | undefined {
  return isIP(text) ? text : undefined
}

/** Without a copy of every name in lower case: this is asked for each answer. */
function hasHeader(headers: string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const own = headers[i]!
    if (own === name || (own.length === name.length && own.toLowerCase() === name.toLowerCase())) return true
  }
  return false
}

function parseStep(step: string): Record<string, string> {
  const pairs = step.split(';').map((pair) => /^\s*(\w+)\s*=\s*"?([^"]*?)"?\s*$/.exec(pair))
  return Object.fromEntries(pairs.flatMap((match) => (match ? [[match[1]!.toLowerCase(), match[2]!]] : [])))
}

/** The address of `1.2.3.4:567`, `[::1]:567` or a bare one. */
function addressOf(node: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(node)?.[1]
  return plainAddress(bracketed ?? (/^\d+\.\d+\.\d+\.\d+:\d+$/.test(node) ? node.slice(0, node.indexOf(':')) : node))
}

/** IPv4 as it is also where it comes in a form of IPv6 (RFC 4291 2.5.5.2): the same client must not be two, or all of them one. */
function plainAddress(address: string): string {
  if (!/^::ffff:/i.test(address)) return address
  const rest = address.slice(7)
  const [, high, low] = /^([\da-f]{1,4}):([\da-f]{1,4})$/i.exec(rest) ?? []
  if (high === undefined || low === undefined) return isIP(rest) === 4 ? rest : address
  return [high, low].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]).join('.')
}

function protoOf(proto: string | undefined): string | undefined {
  const name = proto?.toLowerCase()
  return name === 'http' || name === 'https' ? name : undefined
}

function isHost(host: string): boolean {
  return /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host)
}

function text(header: string | string[] | undefined): string {
  return header === undefined ? '' : String(header).trim()
}

function list(header: string | string[] | undefined): string[] {
  return header === undefined
    ? []
    : String(header)
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean)
}

function trustOf(proxies: string[]): (address: string) => boolean {
  const trusted = new BlockList()
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    try {
      if (bits === undefined) trusted.addAddress(address, family)
      else trusted.addSubnet(address, Number(bits), family)
    } catch (cause) {
      throw new Error(`Cannot trust the proxy "${proxy}": expected an address or a range such as 10.0.0.0/8`, { cause })
    }
  }
  return (address) => {
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
  }
}
