import { createBearers, refusedToken } from '../../auth/bearers.ts'
import { readBearer } from '../../auth/basic.ts'
import { bearerChallenger } from '../../auth/challenge.ts'
import { isSignedBy, objectionTo } from '../../auth/jwt.ts'
import type { OutsideTokensConfiguration } from '../../config/configuration.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { loadTrust, type Trust } from './trust.ts'

/** registry:2's `auth.token`: clients fetch tokens from a server of others, and these alone say who may do what. */
export function outsideTokens(
  { clock }: Platform,
  { baseOf }: Pick<Serving, 'baseOf'>,
  configuration: OutsideTokensConfiguration,
): Feature {
  const { issuer, service, algorithms, realm, redirectPath } = configuration
  let trust: Trust

  const read = createBearers({
    clock,
    foreign: true,
    isOurs: () => true,
    verify(jwt) {
      const now = clock.now()
      const key = trust.keyOf(jwt, now)
      if (!key) throw refusedToken('nobody here trusts who signed it')
      if (!isSignedBy(jwt, key, algorithms)) throw refusedToken('its signature is wrong')
      const objection = objectionTo(jwt.claims, { issuer, audiences: [service], now: now.getTime() })
      if (objection) throw refusedToken(objection)
      return jwt.claims
    },
  })

  return {
    name: 'outside-tokens',
    authenticators: [
      {
        async authenticate({ authorization }, address) {
          const token = readBearer(authorization)
          return token === undefined ? undefined : read(token, address)
        },
      },
    ],
    challenger: bearerChallenger({
      realmOf: (message) => (redirectPath === undefined ? realm : `${originOf(baseOf(message))}${redirectPath}`),
      service,
    }),
    async start() {
      trust = await loadTrust(configuration)
    },
  }
}

/** A base without the path of `http.prefix`. */
function originOf(base: string): string {
  return URL.canParse(base) ? new URL(base).origin : ''
}
