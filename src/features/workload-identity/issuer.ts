import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { readJwks } from '../../auth/jwk.ts'
import type { Log } from '../../platform/log.ts'

/** How long keys are believed without asking, and how often they are asked for at most. */
const freshMs = 3_600_000
const askEveryMs = 60_000

interface Deps {
  issuer: string
  /** A file with its keys; without it they are fetched. */
  file: string | undefined
  getDocument(url: string): Promise<string>
  clock: { now(): Date }
  log: Log
}

/**
 * The keys of an issuer, from a file or by OpenID discovery. They are asked for again after an hour, and when a token names one
 * that is not known, but once a minute at most, whoever wants it. While the issuer is away those it had go on.
 */
export function createIssuer({ issuer, file, getDocument, clock, log }: Deps) {
  let keys = new Map<string, KeyObject>()
  let askedAt = -Infinity
  let asking: Promise<void> | undefined

  async function fetchKeys(): Promise<Map<string, KeyObject>> {
    const discovery = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const { issuer: named, jwks_uri: where } = JSON.parse(await getDocument(discovery)) as Record<string, unknown>
    if (named !== issuer) throw new Error(`${discovery} is of another issuer`)
    if (typeof where !== 'string' || !URL.canParse(where)) throw new Error(`${discovery} names no jwks_uri`)
    const { protocol } = new URL(where)
    if (protocol !== 'https:' && protocol !== new URL(issuer).protocol) throw new Error(`${where} is not https`)
    return readJwks(await getDocument(where))
  }

  function ask(): Promise<void> {
    askedAt = clock.now().getTime()
    asking ??= fetchKeys()
      .then((found) => void (keys = found))
      .catch((error: unknown) => log.warn('issuer.keys-not-fetched', { issuer, error: String(error) }))
      .finally(() => (asking = undefined))
    return asking
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
      const now = clock.now().getTime()
      const known = () => (typeof id === 'string' ? keys.get(id) : keys.size === 1 ? [...keys.values()][0] : undefined)
      if (file !== undefined) return known()
      const isOld = now - askedAt >= freshMs
      if ((isOld || !known()) && now - askedAt >= askEveryMs) await ask()
      else if (asking) await asking
      return known()
    },
  }
}
