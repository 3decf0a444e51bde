import { isRepository } from '../oci/reference.ts'
import type { Access, Grant } from './types.ts'

/** One thing a client asks for: `repository:team/app:pull,push`; with a class, `repository(plugin):…`. */
export interface Scope {
  type: string
  class: string | undefined
  name: string
  actions: string[]
}

/** More of them would not go into a header. */
const maxScopes = 50
const maxLetters = 6000

/**
 * Reads what `scope` parameters say, however clients spell them: repeated, or joined by blanks. What is broken, unknown or too
 * much is passed over in silence: clients ask for their own guesses as well. Each name comes once.
 */
export function parseScopes(texts: string[]): Scope[] {
  const scopes = new Map<string, Scope>()
  let letters = 0
  for (const text of texts.flatMap((item) => item.split(/[\s+]+/))) {
    const [, type = '', kind, name = '', actions = ''] =
      /^([a-z0-9]+)(?:\(([a-z0-9]+)\))?:(.+):([a-z*,]*)$/.exec(text) ?? []
    if (!(type === 'repository' ? isRepository(name) : type === 'registry' && name === 'catalog')) continue
    const id = `${type}(${kind ?? ''}):${name}`
    const known = scopes.get(id)
    if (!known && (scopes.size === maxScopes || (letters += id.length + 60) > maxLetters)) continue
    const all = new Set([...(known?.actions ?? []), ...actions.split(',').filter(isAction)])
    scopes.set(id, { type, class: kind, name, actions: [...all] })
  }
  return [...scopes.values()]
}

const isAction = (text: string) => ['pull', 'push', 'delete', '*'].includes(text)

/** How a scope is written. */
export function formatScope({ type, class: kind, name, actions }: Scope): string {
  return `${type}${kind === undefined ? '' : `(${kind})`}:${name}:${actions.join(',')}`
}

/** What the access to a scope consists of; all there is for `*`. */
export function accessesOf({ type, name, actions }: Scope): Access[] {
  if (type === 'registry') return actions.includes('*') ? [{ type, name: 'catalog', action: '*' }] : []
  const wanted = (['pull', 'push', 'delete'] as const).filter((one) => actions.includes('*') || actions.includes(one))
  return wanted.map((action) => ({ type: 'repository', name, action }))
}

/** The scopes for what a request needs, in the order of the specification's examples: one for each name. */
export function scopesFor(needed: Access[]): string {
  const byName = Map.groupBy(
    needed.filter(({ name }) => name !== 'api'),
    ({ type, name }) => `${type}:${name}`,
  )
  return [...byName].map(([name, all]) => `${name}:${all.map(({ action }) => action).join(',')}`).join(' ')
}

/** The grants of a token's `access` claim; what is no grant of this registry's is left out, patterns too. */
export function parseGrants(access: unknown): Grant[] {
  if (!Array.isArray(access)) return []
  return access.flatMap((entry: unknown) => {
    const { type, name, actions } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<
      string,
      unknown
    >
    if (typeof type !== 'string' || typeof name !== 'string' || name.includes('*') || !Array.isArray(actions)) return []
    return [{ type, name, actions: actions.filter((action) => typeof action === 'string') }]
  })
}
