import { looksLikeJwt, readBasic, readToken } from '../../auth/basic.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import type { Jobs } from './jobs.ts'

/**
 * Jobs sign in with what their platform says of them, so that no secret lies there: its token is their password or bearer, or is
 * exchanged once for one of ours. Which tokens count, and for what, say rules of the configuration and those that owners set for
 * their robots. All but a look at the form of credentials is loaded with the first such token.
 */
export function workloadIdentity(platform: Platform, { baseOf }: Serving): Feature {
  const isConfigured = platform.configuration.workloadIdentity.length > 0
  let jobs: Promise<Jobs> | undefined
  const load = () => (jobs ??= import('./jobs.ts').then(({ createJobs }) => createJobs(platform)))

  return {
    name: 'workload-identity',
    authenticators: [
      {
        authenticate({ authorization }, address) {
          const token = readToken(authorization)
          if (token === undefined || !looksLikeJwt(token)) return undefined
          const name = readBasic(authorization)?.name
          return load().then(({ signIn }) => signIn(token, address, name))
        },
        exchange: async (token, address) => (looksLikeJwt(token) ? (await load()).exchange(token, address) : undefined),
      },
    ],
    async api() {
      const { trustOperations } = await import('./operations.ts')
      return trustOperations({ facts: platform.accounts, clock: platform.clock, baseOf })
    },
    ...(isConfigured && {
      start: async () => (await load()).start(),
      jobs: [{ name: 'used-tokens', everySeconds: 3600, run: platform.vault.sweep }],
    }),
  }
}
