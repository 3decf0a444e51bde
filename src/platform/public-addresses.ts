import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup } from 'node:dns'
import { BlockList, isIP } from 'node:net'

// What is for special use (RFC 6890 and its successors): this machine, this network, multicast, and ways to wrap one of those.
const special4 =
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 ' +
  '192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4'
const special6 =
  '::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8'

// A list for each: in one, the IPv6 form of IPv4 would stand for all of IPv4.
const special = { ipv4: listOf(special4.split(' ')), ipv6: listOf(special6.split(' ')) }

type OnAddress = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/**
 * Keeps the registry from asking who is not public (SSRF): a name is looked up and judged for the very connection it is for, so
 * that it cannot be another one later. What the operator allows may be asked nevertheless.
 */
export function createAddressGuard(allow: string[]) {
  const allowed = listOf(allow)

  function mayAsk(address: string): boolean {
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    return allowed.check(address, family) || !special[family].check(address, family)
  }

  return {
    mayAsk,
    /** @throws Error when the host is an address that may not be asked; a name is judged by `lookup` */
    expectPublic({ hostname }: URL): void {
      const host = hostname.replace(/^\[|\]$/g, '')
      if (isIP(host) !== 0 && !mayAsk(host)) throw notPublic(host)
    },
    /** Node's `lookup`, for the options of a request. */
    lookup(hostname: string, options: LookupOptions, done: OnAddress): void {
      lookup(hostname, { ...options, all: true }, (error, found) => {
        if (error) return done(error, [])
        const first = found.find(({ address }) => !mayAsk(address)) // one is enough: which is taken is not ours to say
        if (first) return done(notPublic(`${hostname} (${first.address})`), [])
        if (options.all) return done(null, found)
        done(null, found[0]!.address, found[0]!.family)
      })
    },
  }
}

function notPublic(host: string): Error {
  return new Error(`${host} is not public: if it may be asked, name its network in holdfast.outgoing.allow`)
}

function listOf(networks: string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
