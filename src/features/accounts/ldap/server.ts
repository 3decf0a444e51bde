import { readFile } from 'node:fs/promises'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import { Client, FilterParser, ResultCodeError } from 'ldapts'
import type { LdapConfiguration } from '../../../config/configuration.ts'

/** Who signed in: the entry's name, and those of its groups. */
export interface Found {
  dn: string
  /** Of each group its whole name, and what it is called in it. */
  groups: { dn: string; name: string }[]
}

/** `unknown`: nobody has the name, or several. `wrong`: the server does not take the password. */
export type Outcome = Found | 'unknown' | 'wrong'

/** What a server says of a password it does not take, or of one it takes no more (RFC 4511 A.1): credentials, locked, expired. */
const refusals = new Set([19, 48, 49, 50, 53])
const maxGroups = 1000

export type LdapServer = Awaited<ReturnType<typeof createLdapServer>>

/**
 * Asks an LDAP server (RFC 4511) by searching for the entry and then binding as it, each time on a connection of its own that is
 * closed whatever happens.
 * @throws Error naming the key whose file or filter cannot be used
 */
export async function createLdapServer(configuration: LdapConfiguration) {
  const { url, startTls, bind, base, userFilter, groupBase, groupFilter, timeoutMs } = configuration
  const { hostname, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const ca = configuration.ca && (await read('ca', configuration.ca))
  const tls = { host, ...(isIP(host) === 0 && { servername: host }), ...(ca && { ca }), minVersion: 'TLSv1.2' as const }
  const password =
    bind && ('text' in bind.password ? bind.password.text : await read('bindpasswordfile', bind.password.file))
  for (const [key, filter] of Object.entries({ userfilter: userFilter, groupfilter: groupFilter }))
    expectFilter(key, filter)

  /** Does work on a connection. There is never a second one: it would be without TLS where that was begun. */
  async function connected<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const sockets: Socket[] = []
    function first<S extends Socket>(open: () => S): S {
      if (sockets.length > 0) throw new Error('the server closed the connection')
      const socket = open()
      sockets.push(socket)
      return socket
    }
    const client = new Client({
      url,
      timeout: timeoutMs,
      connectTimeout: timeoutMs,
      createConnection: ((...args: Parameters<typeof connect>) => first(() => connect(...args))) as typeof connect,
      // With options for TLS it would begin with that also where StartTLS is to come.
      ...(protocol === 'ldaps:' && {
        tlsOptions: tls,
        createSecureConnection: ((...args: Parameters<typeof connectSecurely>) =>
          first(() => connectSecurely(...args))) as typeof connectSecurely,
      }),
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${2 * timeoutMs} ms`)), 2 * timeoutMs)
    })
    try {
      const begun = (async () => {
        if (startTls) await client.startTLS({ ...tls })
        return work(client)
      })()
      begun.catch(() => undefined) // it may end after the race
      return await Promise.race([begun, late])
    } finally {
      clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
    }
  }

  /** Binds as who may search; anonymously where nobody is named. */
  async function bindToSearch(client: Client): Promise<void> {
    if (bind) await client.bind(bind.dn, password)
  }

  async function findUser(client: Client, name: string): Promise<string | undefined> {
    const filter = fill(userFilter, { user: name })
    const { searchEntries } = await client.search(base, { scope: 'sub', filter, attributes: ['1.1'], sizeLimit: 2 })
    return searchEntries.length === 1 ? searchEntries[0]!.dn : undefined
  }

  async function findGroups(client: Client, user: string, dn: string): Promise<Found['groups']> {
    if (groupBase === undefined) return []
    const filter = fill(groupFilter, { user, dn })
    const options = { filter, attributes: ['cn'], sizeLimit: maxGroups }
    const { searchEntries } = await client.search(groupBase, { scope: 'sub', ...options })
    return searchEntries.map((entry) => ({ dn: entry.dn, name: String([entry.cn].flat()[0] ?? '') }))
  }

  return {
    /** Who has this name and password. @throws Error when the server cannot be asked, or does not let us search */
    async ask(name: string, given: string): Promise<Outcome> {
      if (name === '' || given === '') return 'wrong' // an empty password would be no password: RFC 4513 5.1.2
      return connected(async (client) => {
        await bindToSearch(client)
        const dn = await findUser(client, name)
        if (dn === undefined || dn === '') return 'unknown'
        try {
          await client.bind(dn, given)
        } catch (error) {
          if (error instanceof ResultCodeError && refusals.has(error.code)) return 'wrong'
          throw error
        }
        await bindToSearch(client)
        return { dn, groups: await findGroups(client, name, dn) }
      })
    },
  }
}

async function read(key: string, file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (cause) {
    throw new Error(`holdfast.ldap.${key}: cannot read ${file}: ${(cause as Error).message}`, { cause })
  }
}

function expectFilter(key: string, filter: string): void {
  try {
    FilterParser.parseString(fill(filter, { user: 'x', dn: 'cn=x' }))
  } catch (cause) {
    throw new Error(`holdfast.ldap.${key}: ${filter} is no filter: ${(cause as Error).message}`, { cause })
  }
}

/** A filter with values in the place of `{user}` and `{dn}`, escaped so that they stay values (RFC 4515 3). */
export function fill(filter: string, values: Record<string, string>): string {
  return filter.replaceAll(/\{(\w+)\}/g, (all, name: string) => {
    if (!Object.hasOwn(values, name)) return all
    const escaped = (letter: string) => `\\${letter.charCodeAt(0).toString(16).padStart(2, '0')}`
    return values[name]!.replaceAll(/[\\*()\0&|!=<>~]/g, escaped)
  })
}
