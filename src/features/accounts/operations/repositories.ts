import { type Operation, expectMatch, limitOf, operation, pageFields, signedIn } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { choice, list, object, text } from '../../../api/schema.ts'
import type { Access } from '../../../auth/types.ts'
import { isRepositoryPattern, namespaceOf, namespaceOfPattern } from '../../../identity/names.ts'
import { roleNames } from '../../../identity/roles.ts'
import type { Account, RoleGrant } from '../../../metadata/account-facts.ts'
import { isRepository } from '../../../oci/reference.ts'
import { type Deps, edit, found, invalid, timeOf } from './deps.ts'
import { asOwner } from '../../owned.ts'

type InRepository = { repository: string }

const as =
  (action: 'pull' | 'admin') =>
  ({ repository }: InRepository): Access[] => {
    if (!isRepository(repository)) throw new Problem('not-found', 'there is no such repository')
    return [{ type: 'repository', name: repository, action }]
  }

const visibilities = ['public', 'private', 'default'] as const

const showGrant = ({ repositories, principal, roles, createdAt }: RoleGrant) => ({
  principal,
  repositories,
  roles,
  createdAt: timeOf(createdAt),
})

const roles = list(choice(roleNames), 5)
const listQuery = object(
  {},
  {
    ...pageFields,
    sizes: text({ pattern: /^(true)?$/, form: 'expected true' }),
  },
)
const patternQuery = object({}, { repositories: text({ max: 255 }) })

/** Repositories: who sees them and who may do what there. */
export function repositoryOperations(deps: Deps): Operation[] {
  const { facts, metadata, sizes, clock, directory, access } = deps

  async function show(repository: string) {
    const row = await facts.find('visibility', { repository })
    return { name: repository, visibility: row?.visibility ?? 'default', isFilled: await facts.holds({ repository }) }
  }

  return [
    operation({
      method: 'GET',
      path: '/repos',
      summary: 'List the repositories one may pull; with `sizes` also what each holds, in bytes',
      access: signedIn,
      query: listQuery,
      async handle({ query, principal }) {
        const limit = limitOf(query)
        const last = query.cursor === undefined ? undefined : Buffer.from(query.cursor, 'base64url').toString()
        const { items, next } = await access()!.readable(principal, { limit, last }, metadata.repositories.list)
        const all = []
        for (const name of items)
          all.push({
            ...(await show(name)),
            ...(query.sizes !== undefined && { sizeStored: await sizes.stored(name) }),
          })
        return { body: { items: all, ...(next !== undefined && { next: Buffer.from(next).toString('base64url') }) } }
      },
    }),

    operation({
      method: 'GET',
      path: '/repos/:repository+/-/access',
      summary: 'List who may do what in a repository, by grants; with `explain` what decides for a principal',
      access: as('admin'),
      query: object({}, { explain: text({ max: 200 }) }),
      async handle({ params: { repository }, query }) {
        if (query.explain !== undefined) return { body: await explain(repository, query.explain) }
        const namespace = namespaceOf(repository)
        const grants = [
          ...(await facts.list('role_grant', { namespace })),
          ...(await facts.list('role_grant', { namespace: '' })),
        ]
        const { matchesPattern } = await import('../../../identity/pattern.ts')
        return { body: { items: grants.filter((one) => matchesPattern(one.repositories, repository)).map(showGrant) } }
      },
    }),

    operation({
      method: 'PUT',
      path: '/repos/:repository+/-/access/:principal',
      summary: 'Grant a principal roles on a repository',
      access: as('admin'),
      body: object({ roles }),
      handle: async (call) =>
        edit(deps, call, async () => putGrant(call.params.repository, call.params.principal, call.body.roles)),
    }),

    operation({
      method: 'DELETE',
      path: '/repos/:repository+/-/access/:principal',
      summary: 'Take the grant on a repository back',
      access: as('admin'),
      replies: { 204: 'Taken back.' },
      handle: async (call) => edit(deps, call, async () => removeGrant(call.params.repository, call.params.principal)),
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/access',
      summary: 'List all grants in a namespace',
      access: asOwner,
      handle: async ({ params: { org } }) => ({
        body: { items: (await facts.list('role_grant', { namespace: org })).map(showGrant) },
      }),
    }),

    operation({
      method: 'PUT',
      path: '/orgs/:org/access/:principal',
      summary: 'Grant a principal roles on the repositories of a pattern, by default all of the namespace',
      access: asOwner,
      query: patternQuery,
      body: object({ roles }),
      handle: async (call) =>
        edit(deps, call, async () => {
          await ownerOf(call.params.org)
          return putGrant(patternIn(call.params.org, call.query.repositories), call.params.principal, call.body.roles)
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/access/:principal',
      summary: 'Take a grant on the repositories of a pattern back',
      access: asOwner,
      query: patternQuery,
      replies: { 204: 'Taken back.' },
      handle: async (call) =>
        edit(deps, call, async () =>
          removeGrant(patternIn(call.params.org, call.query.repositories), call.params.principal),
        ),
    }),

    operation({
      method: 'GET',
      path: '/repos/:repository+',
      summary: 'Show a repository',
      access: as('pull'),
      handle: async ({ params: { repository } }) => ({ body: await show(repository) }),
    }),

    operation({
      method: 'PUT',
      path: '/repos/:repository+',
      summary: 'Say who sees a repository; `default` is what the registry has for all',
      access: as('admin'),
      body: object({ visibility: choice(visibilities) }),
      handle: async (call) =>
        edit(deps, call, async () => {
          const { repository } = call.params
          const { visibility } = call.body
          expectMatch(call.request, await show(repository))
          return {
            changes: [
              visibility === 'default'
                ? { table: 'visibility', remove: { repository } }
                : { table: 'visibility', put: { repository, visibility } },
            ],
            action: 'repository.visibility-changed',
            target: repository,
            detail: { visibility },
            answer: { body: { ...(await show(repository)), visibility } },
          }
        }),
    }),
  ]

  async function ownerOf(name: string): Promise<Account> {
    const account = await facts.find('account', { name })
    return found(account?.kind === 'robot' ? undefined : account, `namespace ${name}`)
  }

  /** @throws Problem invalid where the pattern reaches out of the namespace */
  function patternIn(namespace: string, pattern = `${namespace}/*`): string {
    if (!isRepositoryPattern(pattern) || namespaceOfPattern(pattern) !== namespace)
      throw invalid('?repositories', `expected a pattern of repositories in ${namespace}, such as ${namespace}/web-*`)
    return pattern
  }

  async function putGrant(repositories: string, principal: string, given: string[]) {
    await expectPrincipal(principal)
    const namespace = namespaceOfPattern(repositories) ?? ''
    if (given.length === 0) throw invalid('/roles', `expected at least one of ${roleNames.join(', ')}`)
    const grant = { namespace, repositories, principal, roles: given, createdAt: clock.now().getTime() }
    return {
      changes: [{ table: 'role_grant', put: grant } as const],
      action: 'access.granted',
      target: repositories,
      detail: { principal, roles: given },
      answer: { body: showGrant(grant) },
    }
  }

  async function removeGrant(repositories: string, principal: string) {
    const key = { namespace: namespaceOfPattern(repositories) ?? '', repositories, principal }
    found(await facts.find('role_grant', key), `grant to ${principal} on ${repositories}`)
    return {
      changes: [{ table: 'role_grant', remove: key } as const],
      action: 'access.taken-back',
      target: repositories,
      detail: { principal },
      answer: {},
    }
  }

  /** @throws Problem invalid, not-found */
  async function expectPrincipal(principal: string): Promise<void> {
    if (principal === 'everyone') return
    const [, kind, name] = /^(user|robot|org|team):([a-z0-9._/-]+)$/.exec(principal) ?? []
    if (!kind || !name)
      throw invalid('/principal', 'expected user:NAME, robot:NAME, team:ORGANIZATION/TEAM, org:NAME or everyone')
    if (kind === 'team') {
      const [organization = '', team = ''] = name.split('/')
      found(await facts.find('team', { organization, name: team }), `team ${name}`)
    } else
      found(
        await facts.find('account', { name, kind: kind === 'org' ? 'organization' : (kind as 'user') }),
        `${kind} ${name}`,
      )
  }

  async function explain(repository: string, who: string) {
    const account = found(await directory.account(who), `account ${who}`)
    const kind = account.kind === 'robot' ? 'robot' : 'user'
    const actions = await Promise.all(
      (['pull', 'push', 'delete', 'admin'] as const).map(async (action) => {
        const asked = { type: 'repository', name: repository, action } as const
        return [action, await deps.judge({ kind, name: who, address: '' }, asked)] as const
      }),
    )
    return { repository, principal: `${kind}:${who}`, decisions: Object.fromEntries(actions) }
  }
}
