import type { Access, Grant } from './types.ts'

/** Whether a token's grant is about this. */
export function covers({ type, name, actions }: Grant, access: Access): boolean {
  if (type !== access.type || !(name === access.name || (name.includes('*') && matches(name, access.name))))
    return false
  return actions.includes(access.action) || actions.includes('*')
}

/** Whether a name fits a pattern: `*` stands for any letters but a slash, `**` for any at all. */
export function matches(pattern: string, name: string): boolean {
  return matcher(pattern).test(name)
}

const matchers = new Map<string, RegExp>()

function matcher(pattern: string): RegExp {
  const known = matchers.get(pattern)
  if (known) return known
  const parts = pattern.split(/(\*+)/).map((part) => {
    if (part.startsWith('*')) return part === '*' ? '[^/]*' : '.*'
    return part.replaceAll(/[^\w/-]/g, String.raw`\$&`)
  })
  const made = new RegExp(`^${parts.join('')}$`, 's')
  if (matchers.size >= 1000) matchers.clear()
  matchers.set(pattern, made)
  return made
}
