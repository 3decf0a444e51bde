import type { Access } from '../../auth/types.ts'
import type { Feature, Platform } from '../feature.ts'

/** registry:2's `auth.silly`, for trying out clients: any `Authorization` header passes. */
export function silly({ configuration }: Platform): Feature {
  if (configuration.auth?.kind !== 'silly') return { name: 'silly' }
  const { realm, service } = configuration.auth
  const scope = (needed: Access[]) => needed.map(({ type, name, action }) => `${type}:${name}:${action}`).join(' ')
  return {
    name: 'silly',
    authenticators: [
      {
        authenticate: async ({ authorization }, address) =>
          authorization === undefined ? undefined : { kind: 'user', name: 'silly', address },
      },
    ],
    challenger: {
      challenge: (needed) => `Bearer realm="${realm}",service="${service}",scope="${scope(needed)}"`,
    },
  }
}
