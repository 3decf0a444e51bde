import { type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { libtrustId, readJwks, thumbprint } from '../../auth/jwk.ts'
import { isUsable, type Jwt } from '../../auth/jwt.ts'
import type { OutsideTokensConfiguration } from '../../config/configuration.ts'
import { verifyChain } from './chain.ts'

/**
 * Whom `auth.token` trusts, found as registry:3 does: by a chain of certificates that leads to the bundle, else by the id of a
 * key that is known. A key that a token brings itself is never used. A certificate's key is known by both its names: the one of
 * registry:3, and the one issuers for registry:2 write.
 */
export interface Trust {
  keyOf(jwt: Jwt, now: Date): KeyObject | undefined
}

/** Reads the files. @throws Error naming the key of the configuration and the file that cannot be used */
export async function loadTrust({ certificates, jwks }: OutsideTokensConfiguration): Promise<Trust> {
  const roots = certificates === undefined ? [] : await read('rootcertbundle', certificates, readBundle)
  const keys = jwks === undefined ? new Map<string, KeyObject>() : await read('jwks', jwks, readKeys)
  for (const { publicKey } of roots)
    if (isUsable(publicKey)) keys.set(thumbprint(publicKey), publicKey).set(libtrustId(publicKey), publicKey)
  return {
    keyOf({ header: { x5c, jwk, kid } }, now) {
      if (x5c !== undefined && roots.length > 0) return verifyChain(x5c, roots, now)
      if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return keys.get(String(kid))
      return jwk.x5c !== undefined && roots.length > 0 ? verifyChain(jwk.x5c, roots, now) : keys.get(String(jwk.kid))
    },
  }
}

async function read<T>(name: string, path: string, parse: (text: string) => T): Promise<T> {
  try {
    return parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`Cannot use auth.token.${name} ${path}: ${reason}`, { cause })
  }
}

function readBundle(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)
  if (!blocks) throw new Error('expected certificates (PEM)')
  return blocks.map((block) => new X509Certificate(block))
}

function readKeys(text: string): Map<string, KeyObject> {
  const keys = readJwks(text)
  if (keys.size === 0)
    throw new Error('it holds no key that tokens may be signed with: expected EC, RSA from 2048 bits or Ed25519')
  return keys
}
