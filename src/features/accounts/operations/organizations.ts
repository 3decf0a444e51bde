import { type Operation, expectMatch, operation, page, pageQuery, signedIn } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { choice, flag, object } from '../../../api/schema.ts'
import type { Access, Principal } from '../../../auth/types.ts'
import { accountNameForm, isAccountName, isPartName } from '../../../identity/names.ts'
import {
  type Account,
  type AccountChange,
  type Member,
  newAccount,
  type Team,
} from '../../../metadata/account-facts.ts'
import { asOwner } from '../../owned.ts'
import { type Deps, description, edit, found, invalid, timeOf } from './deps.ts'
import { expectEmpty, removalOf, withoutAbsent } from './users.ts'

/** Who belongs to an organization, and who is one of its owners. */
const asMember = ({ org }: { org: string }): Access[] => [{ type: 'organization', name: org, action: 'read' }]

const showOrganization = ({ name, description, createsOnPush, createdAt }: Account) => ({
  name,
  description,
  createsOnPush,
  createdAt: timeOf(createdAt),
})
const showMember = ({ account, role }: Member) => ({ user: account, role })
const showTeam = ({ name, description }: Team) => ({ name, description })

/** Organizations, their members and teams. */
export function organizationOperations(deps: Deps): Operation[] {
  const { facts, clock, directory } = deps
  const organizationOf = async (name: string) =>
    found(await facts.find('account', { name, kind: 'organization' }), `organization ${name}`)
  const teamOf = async (organization: string, name: string) =>
    found(await facts.find('team', { organization, name }), `team ${name} in ${organization}`)

  return [
    operation({
      method: 'GET',
      path: '/orgs',
      summary: 'List the organizations one belongs to; administrators see all',
      access: signedIn,
      query: pageQuery,
      handle: async ({ query, principal }) =>
        page(
          query,
          (part) => visibleTo(principal, part),
          ({ name }) => [name],
          showOrganization,
        ),
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org',
      summary: 'Show an organization',
      access: asMember,
      handle: async ({ params }) => ({ body: showOrganization(await organizationOf(params.org)) }),
    }),

    operation({
      method: 'PUT',
      path: '/orgs/:org',
      summary: 'Create an organization (administrators), or change one (its owners)',
      access: asOwner,
      body: object({}, { description, createsOnPush: flag }),
      replies: { 200: 'Changed.', 201: 'Created.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org } = call.params
          const present = await facts.find('account', { name: org })
          if (present && present.kind !== 'organization')
            throw new Problem('conflict', `${org} is the name of a ${present.kind}`)
          if (!present && !isAccountName(org)) throw invalid('/org', accountNameForm)
          expectMatch(call.request, present && showOrganization(present))
          const next = {
            ...(present ?? newAccount(org, 'organization', clock.now().getTime())),
            ...withoutAbsent(call.body),
          }
          return {
            changes: [{ table: 'account', put: next }, ...(present ? [] : firstOwner(org, call.principal))],
            action: present ? 'organization.changed' : 'organization.created',
            target: org,
            detail: withoutAbsent(call.body),
            answer: { status: present ? 200 : 201, body: showOrganization(next) },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org',
      summary: 'Delete an organization that holds no images, with its teams, robots and grants',
      access: asOwner,
      replies: { 204: 'Deleted.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org } = call.params
          const organization = await organizationOf(org)
          expectMatch(call.request, showOrganization(organization))
          await expectEmpty(deps, org)
          const robots = await facts.list('account', { kind: 'robot', organization: org })
          const teams = await facts.list('team', { organization: org })
          const changes: AccountChange[] = [
            ...robots.flatMap(removalOf),
            ...teams.map(({ name }): AccountChange => ({
              table: 'role_grant',
              remove: { principal: `team:${org}/${name}` },
            })),
            { table: 'team', remove: { organization: org } },
            { table: 'member', remove: { organization: org } },
            { table: 'rule_set', remove: { scope: `${org}/*` } },
            ...removalOf(organization),
          ]
          return { changes, action: 'organization.deleted', target: org, answer: {} }
        }),
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/members',
      summary: 'List members',
      access: asMember,
      query: pageQuery,
      async handle({ params: { org }, query }) {
        await organizationOf(org)
        return page(
          query,
          (part) => facts.list('member', { organization: org, team: '' }, part),
          ({ account }) => [account],
          showMember,
        )
      },
    }),

    operation({
      method: 'PUT',
      path: '/orgs/:org/members/:user',
      summary: 'Add a member, or change their role',
      access: asOwner,
      body: object({ role: choice(['owner', 'member']) }),
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, user } = call.params
          await organizationOf(org)
          found(await facts.find('account', { name: user, kind: 'user' }), `user ${user}`)
          const member = { organization: org, team: '', account: user, role: call.body.role }
          if (member.role !== 'owner') await expectOwner(org, user, call.principal)
          return {
            changes: [{ table: 'member', put: member }],
            action: 'member.set',
            target: `${org}/${user}`,
            detail: call.body,
            answer: { body: showMember(member) },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/members/:user',
      summary: 'Remove a member, from the teams as well',
      access: asOwner,
      replies: { 204: 'Removed.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, user } = call.params
          found(await facts.find('member', { organization: org, team: '', account: user }), `member ${user} of ${org}`)
          await expectOwner(org, user, call.principal)
          return {
            changes: [{ table: 'member', remove: { organization: org, account: user } }],
            action: 'member.removed',
            target: `${org}/${user}`,
            answer: {},
          }
        }),
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/teams',
      summary: 'List teams',
      access: asMember,
      query: pageQuery,
      async handle({ params: { org }, query }) {
        await organizationOf(org)
        return page(
          query,
          (part) => facts.list('team', { organization: org }, part),
          ({ name }) => [name],
          showTeam,
        )
      },
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/teams/:team',
      summary: 'Show a team with its members',
      access: asMember,
      async handle({ params: { org, team } }) {
        const members = await facts.list('member', { organization: org, team })
        return { body: { ...showTeam(await teamOf(org, team)), members: members.map(({ account }) => account) } }
      },
    }),

    operation({
      method: 'PUT',
      path: '/orgs/:org/teams/:team',
      summary: 'Create or change a team',
      access: asOwner,
      body: object({}, { description }),
      replies: { 200: 'Changed.', 201: 'Created.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, team } = call.params
          await organizationOf(org)
          if (!isPartName(team))
            throw invalid('/team', 'expected small letters and digits with "_" or "-" between them')
          const present = await facts.find('team', { organization: org, name: team })
          const next = {
            organization: org,
            name: team,
            description: call.body.description ?? present?.description ?? '',
          }
          return {
            changes: [{ table: 'team', put: next }],
            action: present ? 'team.changed' : 'team.created',
            target: `${org}/${team}`,
            answer: { status: present ? 200 : 201, body: showTeam(next) },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/teams/:team',
      summary: 'Delete a team with its grants',
      access: asOwner,
      replies: { 204: 'Deleted.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, team } = call.params
          await teamOf(org, team)
          return {
            changes: [
              { table: 'team', remove: { organization: org, name: team } },
              { table: 'member', remove: { organization: org, team } },
              { table: 'role_grant', remove: { principal: `team:${org}/${team}` } },
            ],
            action: 'team.deleted',
            target: `${org}/${team}`,
            answer: {},
          }
        }),
    }),

    operation({
      method: 'PUT',
      path: '/orgs/:org/teams/:team/members/:user',
      summary: 'Add a member of the organization to a team',
      access: asOwner,
      replies: { 204: 'Added.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, team, user } = call.params
          await teamOf(org, team)
          found(await facts.find('member', { organization: org, team: '', account: user }), `member ${user} of ${org}`)
          return {
            changes: [{ table: 'member', put: { organization: org, team, account: user, role: 'member' } }],
            action: 'team.member-added',
            target: `${org}/${team}/${user}`,
            answer: {},
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/teams/:team/members/:user',
      summary: 'Remove a member from a team',
      access: asOwner,
      replies: { 204: 'Removed.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, team, user } = call.params
          found(
            await facts.find('member', { organization: org, team, account: user }),
            `member ${user} of team ${team}`,
          )
          return {
            changes: [{ table: 'member', remove: { organization: org, team, account: user } }],
            action: 'team.member-removed',
            target: `${org}/${team}/${user}`,
            answer: {},
          }
        }),
    }),
  ]

  async function visibleTo(
    principal: Principal,
    { limit, last }: { limit: number; last: string[] | undefined },
  ): Promise<Account[]> {
    const { isAdministrator, organizations } = await directory.profileOf(principal)
    if (isAdministrator) return facts.list('account', { kind: 'organization' }, { limit, last })
    const names = [...organizations].toSorted().filter((name) => last === undefined || name > last[0]!)
    const rows = await Promise.all(
      names.slice(0, limit).map((name) => facts.find('account', { name, kind: 'organization' })),
    )
    return rows.filter((row) => row !== undefined)
  }

  /** Who makes an organization owns it. */
  function firstOwner(organization: string, principal: Principal): AccountChange[] {
    if (principal.kind !== 'user') return []
    return [{ table: 'member', put: { organization, team: '', account: principal.name, role: 'owner' } }]
  }

  /** @throws Problem conflict where an organization would be left without an owner, by who is no administrator */
  async function expectOwner(organization: string, user: string, principal: Principal): Promise<void> {
    const members = await facts.list('member', { organization, team: '' })
    if (members.some(({ account, role }) => role === 'owner' && account !== user)) return
    if (members.some(({ account, role }) => role === 'owner' && account === user)) {
      if ((await directory.profileOf(principal)).isAdministrator) return
      throw new Problem('conflict', `${user} is the only owner of ${organization}: make another one first`)
    }
  }
}
