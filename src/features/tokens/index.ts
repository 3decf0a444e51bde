import { readToken } from '../../auth/basic.ts'
import type { Authenticator, Challenger } from '../../auth/types.ts'
import type { TokensConfiguration } from '../../config/configuration.ts'
import { reply, type Route, route } from '../../http/types.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createAccessTokens } from './access-tokens.ts'
import { bearerChallenger } from '../../auth/challenge.ts'
import { createEndpoint, tokenChallenge } from './endpoint.ts'
import { createKeys } from '../../keyring/signing-keys.ts'
import { createRefreshTokens, refreshPrefix } from './refresh.ts'

/** The token service: who signed in goes on with a token of minutes, which says itself what it is good for. */
export function tokens(
  { vault, secrets, clock, log }: Platform,
  { access: accessOf, baseOf }: Pick<Serving, 'access' | 'baseOf'>,
  configuration: TokensConfiguration,
): Feature {
  const access = () => accessOf()!
  const keys = createKeys({ vault: secrets, clock, log })
  const accessTokens = createAccessTokens({ configuration, keys, clock })
  const refreshTokens = createRefreshTokens({ vault, clock, access })
  const endpoint = createEndpoint({ accessTokens, refreshTokens, access, offline: configuration.offline, log })

  const authenticator: Authenticator = {
    authenticate({ authorization }, address) {
      const token = readToken(authorization)
      if (token === undefined) return undefined
      return token.startsWith(refreshPrefix) ? refreshTokens.read(token, address) : accessTokens.read(token, address)
    },
  }

  const bearer = bearerChallenger({
    realmOf: (message) => configuration.realm ?? `${baseOf(message)}/token`,
    service: configuration.service,
  })
  const challenger: Challenger = {
    challenge: (needed, message, problem) =>
      needed.length > 0 ? bearer.challenge(needed, message, problem) : tokenChallenge,
  }

  const open = () => []
  const jwksHeaders = { 'Content-Type': 'application/jwk-set+json', 'Cache-Control': 'max-age=3600' }
  const jwks = async () => reply(200, jwksHeaders, keys.jwks())
  const pemHeaders = { 'Content-Type': 'application/x-pem-file' }
  const routes: Route[] = [
    ...['/token', '/auth/token', '/oauth2/token'].flatMap((path) => [
      route('GET', path, open, endpoint.get),
      route('POST', path, open, endpoint.post),
    ]),
    route('GET', '/oauth2/federation/robot/token', open, endpoint.federation),
    route('GET HEAD', '/token/jwks', open, jwks),
    route('GET HEAD', '/.well-known/jwks.json', open, jwks),
    route('GET HEAD', '/token/certificates', open, async () => reply(200, pemHeaders, keys.certificates())),
  ]

  return {
    name: 'tokens',
    routes,
    authenticators: [authenticator],
    challenger,
    start: keys.load,
    jobs: [
      {
        name: 'tokens',
        everySeconds: 3600,
        async run() {
          await keys.rotate()
          await vault.sweep()
        },
      },
    ],
  }
}
