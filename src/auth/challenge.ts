import type { IncomingMessage } from 'node:http'
import { isRepository } from '../oci/reference.ts'
import { scopesFor } from './scopes.ts'
import type { Access, Challenger } from './types.ts'

interface Where {
  /** Where clients fetch tokens. */
  realmOf(message: IncomingMessage): string
  service: string
}

/** The one Bearer challenge, as the distribution specification writes it: quoted, without blanks after the commas. */
export function bearerChallenger({ realmOf, service }: Where): Challenger {
  return {
    challenge(needed, message, problem) {
      const scope = scopesFor([...needed, ...mountSource(needed, message)])
      const parts = [`realm="${realmOf(message)}"`, `service="${service}"`]
      if (scope !== '') parts.push(`scope="${scope}"`)
      if (problem !== undefined) parts.push(`error="${problem}"`)
      return `Bearer ${parts.join(',')}`
    },
  }
}

/** A mount goes on without the source's consent, by an upload; who fetches a token anyway may ask for it as well. */
function mountSource(needed: Access[], { method, url = '' }: IncomingMessage): Access[] {
  if (method !== 'POST' || !needed.some(({ action }) => action === 'push') || !url.includes('mount=')) return []
  const from = new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('from')
  return from !== null && isRepository(from) ? [{ type: 'repository', name: from, action: 'pull' }] : []
}
