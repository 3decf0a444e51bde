import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { readJwks } from './jwk.ts'

/** How long what an issuer says is believed without asking, and how often it is asked at most. */
const freshMs = 3_600_000
const askEveryMs = 60_000

/** An issuer's description of itself (OpenID Connect Discovery 1.0, RFC 8414), as it came. */
export type Discovered = Record<string, unknown>

interface Deps {
  issuer: string
  /** A file with its keys; without it they are fetched. */
  file: string | undefined
  getDocument(url: string): Promise<string>
  clock: { now(): Date }
  onFailure(error: unknown): void
}

/** A URL that an issuer names: https, or as safe as the issuer's own. @throws Error when it is missing or is none */
export function endpointOf(discovered: Discovered, name: string): string {
  const [where, issuer] = [discovered[name], String(discovered.issuer)]
  if (typeof where !== 'string' || !URL.canParse(where)) throw new Error(`${issuer} names no ${name}`)
  const { protocol } = new URL(where)
  if (protocol !== 'https:' && protocol !== new URL(issuer).protocol) throw new Error(`${where} is not https`)
  return where
}

/**
 * The keys of an issuer, from a file or by OpenID discovery. They are asked for again after an hour, and when a token names one
 * that is not known, but once a minute at most, whoever wants it. While the issuer is away those it had go on.
 */
export function createIssuer({ issuer, file, getDocument, clock, onFailure }: Deps) {
  let keys = new Map<string, KeyObject>()
  let discovered: Discovered | undefined
  let askedAt = -Infinity
  let asking: Promise<void> | undefined

  async function fetchAll(): Promise<void> {
    const discovery = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const found = JSON.parse(await getDocument(discovery)) as Discovered
    if (found.issuer !== issuer) throw new Error(`${discovery} is of another issuer`)
    keys = readJwks(await getDocument(endpointOf(found, 'jwks_uri')))
    discovered = found
  }

  function ask(): Promise<void> {
    askedAt = clock.now().getTime()
    asking ??= fetchAll()
      .catch(onFailure)
      .finally(() => (asking = undefined))
    return asking
  }

  async function refresh(isKnown: () => boolean): Promise<void> {
    const now = clock.now().getTime()
    const isOld = now - askedAt >= freshMs
    if ((isOld || !isKnown()) && now - askedAt >= askEveryMs) await ask()
    else if (asking) await asking
  }

  return {
    /** Reads the file, if there is one. @throws Error when it cannot be used */
    async load(): Promise<void> {
      if (file === undefined) return
      try {
        keys = readJwks(await readFile(file, 'utf8'))
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new Error(`Cannot use holdfast.workloadidentity.jwks ${file}: ${reason}`, { cause })
      }
    },
    /** The key of this id; the only one there is for a token that names none. */
    async find(id: unknown): Promise<KeyObject | undefined> {
      const known = () => (typeof id === 'string' ? keys.get(id) : keys.size === 1 ? [...keys.values()][0] : undefined)
      if (file === undefined) await refresh(() => known() !== undefined)
      return known()
    },
    /** What it says of itself; undefined while it cannot be asked. */
    async discover(): Promise<Discovered | undefined> {
      await refresh(() => discovered !== undefined)
      return discovered
    },
  }
}
