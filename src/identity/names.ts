import { isRepository } from '../oci/reference.ts'

const maxName = 64
const part = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/
const robotPart = /^[a-z0-9]+(?:[_-]+[a-z0-9]+)*$/
// What a URL or a client could take for something else.
const reserved = new Set(['robot', 'everyone', 'anonymous', 'admin', 'api', 'v2', 'token', 'oidc', 'library-proxy'])

/** Whether a user or an organization may be called so: a name is a namespace, so it is one part of a repository's name. */
export function isAccountName(name: string): boolean {
  const isName = name.length <= maxName && part.test(name) && isRepository(name)
  return isName && !reserved.has(name) && !name.startsWith('robot.')
}

/** What a name of an account is, for people whose one is none. */
export const accountNameForm = `expected small letters and digits with ".", "_" or "-" between them, and none of ${[...reserved].join(', ')}`

/** Whether a team, or the part of a robot's name that is its own, may be called so. */
export function isPartName(name: string): boolean {
  return name.length <= maxName && robotPart.test(name)
}

/** `robot.acme.ci`: no dot is in the last part, so that it cannot be read in two ways. */
export function robotName(organization: string, name: string): string {
  return `robot.${organization}.${name}`
}

/** The organization of a robot's name; undefined when it is none. */
export function organizationOfRobot(name: string): string | undefined {
  return /^robot\.(.+)\.[^.]+$/.exec(name)?.[1]
}

/** The organization or user a repository belongs to: the first part of its name. */
export function namespaceOf(repository: string): string {
  const slash = repository.indexOf('/')
  return slash < 0 ? repository : repository.slice(0, slash)
}

/** Where the repositories of a pattern lie; undefined where that could be in several namespaces. */
export function namespaceOfPattern(pattern: string): string | undefined {
  const namespace = namespaceOf(pattern)
  return /[*?]/.test(namespace) ? undefined : namespace
}

/** Whether this can be a pattern of repositories: letters of their names, slashes, `*` and `?`. */
export function isRepositoryPattern(pattern: string): boolean {
  return pattern.length <= 255 && /^[a-z0-9._*?/-]+$/.test(pattern) && !/^\/|\/\/|\/$/.test(pattern)
}
