/** What can be done to a repository; `admin` is to say who may do what there, `sign` to sign its images. */
export type RepositoryAction = 'pull' | 'push' | 'delete' | 'sign' | 'admin'

const all: RepositoryAction[] = ['pull', 'push', 'delete', 'sign', 'admin']

/** Every role with what it allows: ours first, then what it is called in other registries. */
const roles: Record<string, RepositoryAction[]> = {
  read: ['pull'],
  write: ['pull', 'push'],
  delete: ['pull', 'delete'],
  admin: all,
  // Azure Container Registry
  AcrPull: ['pull'],
  AcrPush: ['pull', 'push'],
  AcrDelete: ['delete'],
  AcrImageSigner: ['sign'],
  Reader: ['pull'],
  Contributor: ['pull', 'push', 'delete'],
  Owner: all,
  // Amazon ECR's managed policies
  AmazonEC2ContainerRegistryReadOnly: ['pull'],
  AmazonEC2ContainerRegistryPowerUser: ['pull', 'push'],
  AmazonEC2ContainerRegistryFullAccess: all,
  // Google Artifact Registry
  'artifactregistry.reader': ['pull'],
  'artifactregistry.writer': ['pull', 'push'],
  'artifactregistry.repoAdmin': ['pull', 'push', 'delete'],
  // Harbor
  limitedGuest: ['pull'],
  guest: ['pull'],
  developer: ['pull', 'push'],
  maintainer: ['pull', 'push', 'delete'],
  projectAdmin: all,
}

export const roleNames: readonly string[] = Object.keys(roles)

/** Whether a role of this name allows the action; one that nobody knows allows nothing. */
export function allows(role: string, action: RepositoryAction): boolean {
  return Object.hasOwn(roles, role) && roles[role]!.includes(action)
}

/** What an access token may be restricted to, with what each scope lets through of what its owner may do. */
const scopes: Record<string, { actions: RepositoryAction[]; others: string[] }> = {
  'repo:read': { actions: ['pull'], others: [] },
  'repo:write': { actions: ['pull', 'push', 'sign'], others: [] },
  'repo:delete': { actions: ['delete'], others: [] },
  'repo:admin': { actions: all, others: [] },
  'org:read': { actions: [], others: ['organization:read'] },
  'org:admin': { actions: [], others: ['organization:read', 'organization:admin'] },
  admin: { actions: all, others: ['organization:read', 'organization:admin', 'registry:admin'] },
}

export const scopeNames: readonly string[] = Object.keys(scopes)

/** Whether a token of these scopes lets this through: an action on repositories, or such as `organization:admin`. */
export function lets(given: readonly string[], what: RepositoryAction | (string & {})): boolean {
  return given.some((name) => {
    const scope = Object.hasOwn(scopes, name) ? scopes[name]! : undefined
    return scope?.actions.includes(what as RepositoryAction) || scope?.others.includes(what)
  })
}

/** Whether a token of these scopes lets through all that one with this scope does. */
export function includesScope(given: readonly string[], scope: string): boolean {
  const { actions, others } = scopes[scope]!
  return [...actions, ...others].every((what) => lets(given, what))
}
