import { type Operation, expectMatch, operation, page, pageQuery } from '../../../api/operation.ts'
import { flag, object } from '../../../api/schema.ts'
import { isPartName, robotName } from '../../../identity/names.ts'
import { type Account, newAccount } from '../../../metadata/account-facts.ts'
import { type Deps, description, edit, found, invalid, timeOf } from './deps.ts'
import { asOwner, robotOf } from '../../owned.ts'
import { endOf, makeToken, rotate, rotateBody, showToken, tokenBody } from './tokens.ts'
import { removalOf, withoutAbsent } from './users.ts'

const showRobot = ({ name, organization, isDisabled, description, createdAt }: Account) => ({
  name: name.slice(`robot.${organization}.`.length),
  login: name,
  organization,
  isDisabled,
  description,
  createdAt: timeOf(createdAt),
})

/** Robots of organizations: accounts for machines, which sign in by access tokens alone. */
export function robotOperations(deps: Deps): Operation[] {
  const { facts, clock } = deps
  const organizationOf = async (name: string) =>
    found(await facts.find('account', { name, kind: 'organization' }), `organization ${name}`)
  const tokenOf = async (account: Account, id: string) =>
    found(await facts.find('access_token', { id, account: account.name }), `access token ${id} of ${account.name}`)

  return [
    operation({
      method: 'GET',
      path: '/orgs/:org/robots',
      summary: 'List robots',
      access: asOwner,
      query: pageQuery,
      async handle({ params: { org }, query }) {
        await organizationOf(org)
        return page(
          query,
          (part) => facts.list('account', { kind: 'robot', organization: org }, part),
          ({ name }) => [name],
          showRobot,
        )
      },
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/robots/:robot',
      summary: 'Show a robot',
      access: asOwner,
      handle: async ({ params }) => ({ body: showRobot(await robotOf(facts, params)) }),
    }),

    operation({
      method: 'PUT',
      path: '/orgs/:org/robots/:robot',
      summary: 'Create or change a robot',
      access: asOwner,
      body: object({}, { description, isDisabled: flag }),
      replies: { 200: 'Changed.', 201: 'Created.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const { org, robot } = call.params
          await organizationOf(org)
          if (!isPartName(robot))
            throw invalid('/robot', 'expected small letters and digits with "_" or "-" between them')
          const name = robotName(org, robot)
          const present = await facts.find('account', { name })
          expectMatch(call.request, present && showRobot(present))
          const made = present ?? { ...newAccount(name, 'robot', clock.now().getTime()), organization: org }
          const next = { ...made, ...withoutAbsent(call.body) }
          return {
            changes: [{ table: 'account', put: next }],
            action: present ? 'robot.changed' : 'robot.created',
            target: name,
            detail: withoutAbsent(call.body),
            answer: { status: present ? 200 : 201, body: showRobot(next) },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/robots/:robot',
      summary: 'Delete a robot with its tokens and grants',
      access: asOwner,
      replies: { 204: 'Deleted.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const robot = await robotOf(facts, call.params)
          return { changes: removalOf(robot), action: 'robot.deleted', target: robot.name, answer: {} }
        }),
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/robots/:robot/tokens',
      summary: "List a robot's access tokens",
      access: asOwner,
      query: pageQuery,
      async handle({ params, query }) {
        const { name } = await robotOf(facts, params)
        return page(
          query,
          (part) => facts.list('access_token', { account: name }, part),
          ({ id }) => [id],
          showToken,
        )
      },
    }),

    operation({
      method: 'POST',
      path: '/orgs/:org/robots/:robot/tokens',
      summary: 'Make an access token for a robot; its secret is told once',
      access: asOwner,
      body: tokenBody,
      replies: { 201: 'Made; `secret` is not told again.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const robot = await robotOf(facts, call.params)
          const { token, secret } = makeToken(deps, robot, call.body)
          return {
            changes: [{ table: 'access_token', put: token }],
            action: 'token.created',
            target: `${robot.name}/${token.id}`,
            detail: { name: token.name, scopes: token.scopes, repositories: token.repositories },
            answer: { status: 201, body: { ...showToken(token), secret } },
          }
        }),
    }),

    operation({
      method: 'POST',
      path: '/orgs/:org/robots/:robot/tokens/:id/rotate',
      summary: "Give a robot's access token a new secret; the old one stays good for the overlap",
      access: asOwner,
      body: rotateBody,
      replies: { 201: 'Made; `secret` is not told again.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const robot = await robotOf(facts, call.params)
          const old = await tokenOf(robot, call.params.id)
          const { token, secret, ended } = rotate(deps, robot, old, call.body)
          return {
            changes: [{ table: 'access_token', put: token }, endOf(ended, call.body.overlapSeconds)],
            action: 'token.rotated',
            target: `${robot.name}/${old.id}`,
            detail: { to: token.id },
            answer: { status: 201, body: { ...showToken(token), secret } },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/robots/:robot/tokens/:id',
      summary: "Revoke a robot's access token",
      access: asOwner,
      replies: { 204: 'Revoked.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const robot = await robotOf(facts, call.params)
          const { id } = await tokenOf(robot, call.params.id)
          return {
            changes: [{ table: 'access_token', remove: { id } }],
            action: 'token.deleted',
            target: `${robot.name}/${id}`,
            answer: {},
          }
        }),
    }),
  ]
}
