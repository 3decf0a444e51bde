import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after } from 'node:test'
import type { Configuration, OpenIdConfiguration } from '../../src/config/configuration.ts'

/** Where scripts/programs.mjs has put npm's oidc-provider, by the PATH that it gives. */
const library = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => /oidc-provider-[\d.]+\/node_modules\/\.bin$/.test(folder))
  .map((folder) => join(folder, '../oidc-provider/lib/index.js'))
  .find((file) => existsSync(file))

/** Why tests with a real provider cannot run here, as the `skip` of node:test; false when they can. */
export const withoutProvider = library === undefined && "npm's oidc-provider is not installed"

type Listener = (request: IncomingMessage, response: ServerResponse) => void

async function listen() {
  let handle: Listener = (_request, response) => response.writeHead(503).end()
  const server = createServer((request, response) => handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, serve: (listener: Listener) => (handle = listener) }
}

const client = { clientId: 'holdfast', clientSecret: { text: 'the secret: of "holdfast" & others' } }

/** Lets users of the issuer sign in. */
export function openidOn(configuration: Configuration, issuer: string, more: Partial<OpenIdConfiguration> = {}): void {
  const claims = { usernameClaim: 'preferred_username', groupsClaim: 'groups', scopes: ['openid', 'profile'] }
  configuration.openid = { issuer, ...client, ...claims, groups: [], ...more }
  configuration.outgoing.allow = ['127.0.0.0/8']
}

interface Person {
  preferred_username: string
  groups: string[]
}

/** npm's oidc-provider on loopback, with these people; `start` tells it where the registry is. */
export async function startProvider(people: Record<string, Person>) {
  const { url, serve } = await listen()
  const { default: Provider } = (await import(library!)) as {
    default: new (issuer: string, options: object) => { callback(): Listener }
  }
  return {
    url,
    start(registry: string): void {
      const provider = new Provider(url, {
        clients: [
          {
            client_id: client.clientId,
            client_secret: client.clientSecret.text,
            redirect_uris: [`${registry}/oidc/callback`],
            post_logout_redirect_uris: [`${registry}/sign-in`],
          },
        ],
        claims: { profile: ['preferred_username', 'groups'] },
        pkce: { required: () => true },
        cookies: { keys: ['a key of the provider'] },
        findAccount: (_context: unknown, id: string) =>
          people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
      })
      serve(provider.callback())
    },
  }
}

interface Liar {
  url: string
  key: KeyObject
  header: Record<string, unknown>
  /** What its tokens say. */
  claims: Record<string, unknown>
  /** What it answers instead of a token. */
  token: unknown
  status: number
  userinfo: unknown
  /** The forms that came to its token endpoint. */
  forms: URLSearchParams[]
  sign(claims: object, header?: object, key?: KeyObject): string
}

/** An issuer that says whatever a test wants. */
export async function startLiar() {
  const { url, serve } = await listen()
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const liar: Liar = {
    url,
    key: pair.privateKey,
    header: { kid: 'one', alg: 'RS256' },
    claims: {},
    token: undefined,
    status: 200,
    userinfo: undefined,
    forms: [],
    sign(claims, header, key) {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const signed = `${part({ typ: 'JWT', ...(header ?? liar.header) })}.${part(claims)}`
      return `${signed}.${sign('sha256', Buffer.from(signed), key ?? liar.key).toString('base64url')}`
    },
  }
  serve(async (request, response) => {
    const answer = (body: unknown, status = 200) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    if (request.url === '/keys')
      return void answer({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig' }] })
    if (request.url === '/userinfo') return void answer(liar.userinfo)
    if (request.url === '/token') {
      liar.forms.push(new URLSearchParams(await text(request)))
      return void answer(liar.token ?? { id_token: liar.sign(liar.claims), access_token: 'abc' }, liar.status)
    }
    answer({
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/keys`,
      userinfo_endpoint: `${url}/userinfo`,
    })
  })
  return liar
}
