import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Operation, operation, page, pageQuery } from '../../api/operation.ts'
import { found, invalid, Problem } from '../../api/problem.ts'
import { anything, list, object, text } from '../../api/schema.ts'
import { isSafe } from '../../config/build/sign-in.ts'
import type { AccountFacts, RobotTrust } from '../../metadata/account-facts.ts'
import { edit } from '../edit.ts'
import { asOwner, robotOf } from '../owned.ts'

interface Deps {
  facts: AccountFacts
  clock: { now(): Date }
  baseOf(message: IncomingMessage): string
}

const maxTrusts = 50
const [maxClaims, maxValues, maxText] = [20, 20, 500]

const show = ({ id, issuer, audiences, claims, createdAt }: RobotTrust) => ({
  ...{ id, issuer, audiences },
  claims: JSON.parse(claims) as unknown,
  createdAt: new Date(createdAt).toISOString(),
})

/** Whose tokens stand for a robot, set by the owners of its organization. */
export function trustOperations({ facts, clock, baseOf }: Deps): Operation[] {
  return [
    operation({
      method: 'GET',
      path: '/orgs/:org/robots/:robot/trust',
      summary: 'List whose tokens stand for a robot, so that its jobs need no secret of ours',
      access: asOwner,
      query: pageQuery,
      async handle({ params, query }) {
        const { name } = await robotOf(facts, params)
        return page(
          query,
          (part) => facts.list('robot_trust', { robot: name }, part),
          ({ id }) => [id],
          show,
        )
      },
    }),

    operation({
      method: 'POST',
      path: '/orgs/:org/robots/:robot/trust',
      summary:
        'Let tokens of an issuer stand for a robot that have these claims: sub, or one that ends in _id, and others',
      access: asOwner,
      body: object(
        { issuer: text({ min: 1, max: maxText }), claims: anything },
        { audiences: list(text({ min: 1, max: maxText }), maxValues) },
      ),
      replies: { 201: 'Made.' },
      handle: async (call) =>
        edit({ facts }, call, async () => {
          const { issuer, claims, audiences = [] } = call.body
          const robot = await robotOf(facts, call.params)
          if ((await facts.list('robot_trust', { robot: robot.name })).length >= maxTrusts)
            throw new Problem('conflict', `${robot.name} trusts ${maxTrusts} already: remove one`)
          if (!/^https?:\/\/\S+$/.test(issuer) || !URL.canParse(issuer) || !isSafe(issuer))
            throw invalid('/issuer', 'expected the URL of an issuer, with https')
          const trust: RobotTrust = {
            ...{ robot: robot.name, id: `tru_${randomUUID().replaceAll('-', '')}`, issuer },
            audiences: audiences.length > 0 ? audiences : [baseOf(call.request.message)],
            claims: JSON.stringify(readClaims(claims)),
            createdAt: clock.now().getTime(),
          }
          return {
            changes: [{ table: 'robot_trust', put: trust }],
            action: 'robot.trust-added',
            target: `${robot.name}/${trust.id}`,
            detail: { issuer, audiences: trust.audiences, claims },
            answer: { status: 201, body: show(trust) },
          }
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/orgs/:org/robots/:robot/trust/:id',
      summary: 'Trust these tokens no more',
      access: asOwner,
      replies: { 204: 'Removed.' },
      handle: async (call) =>
        edit({ facts }, call, async () => {
          const { name } = await robotOf(facts, call.params)
          const { id } = call.params
          const { issuer } = found(await facts.find('robot_trust', { robot: name, id }), `trust ${id} of ${name}`)
          return {
            changes: [{ table: 'robot_trust', remove: { robot: name, id } }],
            action: 'robot.trust-removed',
            target: `${name}/${id}`,
            detail: { issuer },
            answer: {},
          }
        }),
    }),
  ]
}

/** Claims with a value or several, as lists. @throws Problem invalid */
function readClaims(claims: Record<string, unknown>): Record<string, string[]> {
  const entries = Object.entries(claims)
  if (entries.length > maxClaims) throw invalid('/claims', `expected ${maxClaims} at most`)
  const read = entries.map(([claim, given]): [string, string[]] => {
    const values = Array.isArray(given) ? (given as unknown[]) : [given]
    const isText = (value: unknown) => typeof value === 'string' && value !== '' && value.length <= maxText
    if (values.length === 0 || values.length > maxValues || !values.every(isText))
      throw invalid(`/claims/${claim}`, 'expected a text, or a list of some')
    if (values.some((value) => /^\**$/.test(value as string)))
      throw invalid(`/claims/${claim}`, 'fits everything: expected more than *')
    return [claim, values as string[]]
  })
  if (!read.some(([claim]) => claim === 'sub' || claim.endsWith('_id')))
    throw invalid('/claims', 'expected sub or a claim that ends in _id, for names can be given to others')
  return Object.fromEntries(read)
}
