import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'

/** An issuer on loopback with the keys of a CI platform. */
export async function startIssuer() {
  const asked: string[] = []
  const pairs = new Map<string, { publicKey: KeyObject; privateKey: KeyObject }>()
  const issuer = {
    url: '',
    asked,
    /** What it answers instead; undefined: what it should. */
    discovery: undefined as unknown,
    status: 200,
    addKey(kid: string) {
      pairs.set(kid, generateKeyPairSync('rsa', { modulusLength: 2048 }))
    },
    jwks: () => ({
      keys: [...pairs].map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' })),
    }),
    sign(
      claims: object,
      header: Record<string, unknown> = { kid: 'one' },
      key = pairs.get(String(header.kid))!.privateKey,
    ) {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const signed = `${part({ typ: 'JWT', alg: 'RS256', ...header })}.${part(claims)}`
      return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
    },
  }
  const server = createServer((request, response) => {
    asked.push(request.url!)
    const discovery = issuer.discovery ?? { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }
    const body = request.url === '/keys' ? issuer.jwks() : discovery
    response.writeHead(issuer.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => server.close())
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  issuer.addKey('one')
  return issuer
}
