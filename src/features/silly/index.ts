import type { Access } from '../../auth/types.ts'
import type { SillyConfiguration } from '../../config/configuration.ts'
import type { Feature } from '../feature.ts'

/** registry:2's `auth.silly`, for trying out clients: any `Authorization` header passes. */
export function silly({ realm, service }: SillyConfiguration): Feature {
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
