import { administrator, type Operation, operation, page, pageQuery } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { object, text } from '../../api/schema.ts'
import type { Access } from '../../auth/types.ts'
import type { RetentionRun } from '../../metadata/rule-facts.ts'
import { isRepository } from '../../oci/reference.ts'
import { recordAct } from '../edit.ts'
import type { Platform } from '../feature.ts'
import { expectRepository } from '../known.ts'
import { momentOf, type Plan } from './plan.ts'
import { createRunner } from './runner.ts'

const day = 86_400_000

const as =
  (...actions: ('pull' | 'delete')[]) =>
  ({ repository }: { repository: string }): Access[] => {
    if (!isRepository(repository)) throw new Problem('not-found', 'there is no such repository')
    return actions.map((action) => ({ type: 'repository', name: repository, action }))
  }

const showPlan = ({ retirements: _, parts: _parts, at, ...plan }: Plan) => ({
  ...plan,
  at: new Date(at).toISOString(),
  items: plan.items.map(({ tag, rule, ...item }) => ({ tag: tag ?? null, ...item, rule: rule ?? null })),
})
const showRun = ({ sequence, at, body, plan, actor, ...run }: RetentionRun) => ({
  id: sequence,
  at: new Date(at).toISOString(),
  ...run,
  plan,
  by: actor,
  items: JSON.parse(body) as unknown,
})

/** Plans of retention, their carrying out, and what was done. */
export function retentionOperations(platform: Platform & { mayDelete: boolean }): Operation[] {
  const { rules, accounts, clock, metadata, mayDelete } = platform
  const runner = createRunner(platform)

  const runs = (
    where: Parameters<typeof rules.runs.list>[0],
    query: { limit?: string | undefined; cursor?: string | undefined },
  ) =>
    page(
      query,
      ({ limit, last }) =>
        rules.runs.list(where, { limit, before: last?.[0] === undefined ? undefined : Number(last[0]) || 0 }),
      ({ sequence }) => [String(sequence)],
      showRun,
    )

  return [
    operation({
      method: 'GET',
      path: '/repos/:repository+/-/retention',
      summary: 'Make a plan: what the rules would keep and let go now, and why',
      access: as('pull'),
      async handle({ params: { repository } }) {
        await expectRepository(metadata, repository)
        return { body: showPlan(await runner.plan(repository, await runner.policies())) }
      },
    }),

    operation({
      method: 'POST',
      path: '/repos/:repository+/-/retention',
      summary: 'Carry out a plan, if all it was made of is still so',
      access: as('pull', 'delete'),
      body: object({ plan: text({ max: 100 }) }),
      async handle(call) {
        const { repository } = call.params
        const id = call.body.plan
        await expectRepository(metadata, repository)
        const at = momentOf(id)
        const now = clock.now().getTime()
        if (!mayDelete)
          throw new Problem(
            'forbidden',
            'deleting is switched off: the operator can allow it with storage.delete.enabled',
          )
        if (at === undefined) throw new Problem('invalid', `/plan: ${JSON.stringify(id)} is no plan: make one first`)
        const plan =
          at <= now && now - at < day ? await runner.plan(repository, await runner.policies(), at) : undefined
        if (plan?.id !== id)
          throw new Problem(
            'precondition-failed',
            'what the plan was made of has changed since, or it is older than a day: make another',
          )
        const by = call.principal.kind === 'anonymous' ? '' : call.principal.name
        const outcome = await runner.apply(plan, by)
        await recordAct(accounts, call, { action: 'retention.applied', target: repository, detail: { ...outcome } })
        return { body: { repository, ...outcome } }
      },
    }),

    operation({
      method: 'GET',
      path: '/repos/:repository+/-/retention/runs',
      summary: 'List what retention has done in a repository, or would have, the newest first',
      access: as('pull'),
      query: pageQuery,
      async handle({ params: { repository }, query }) {
        await expectRepository(metadata, repository)
        return runs({ repository }, query)
      },
    }),

    operation({
      method: 'GET',
      path: '/orgs/:org/retention/runs',
      summary: 'The same of all repositories of a namespace',
      access: ({ org }) => [{ type: 'organization', name: org, action: 'read' }],
      query: pageQuery,
      handle: async ({ params: { org }, query }) => runs({ prefix: org }, query),
    }),

    operation({
      method: 'GET',
      path: '/retention/runs',
      summary: 'The same of all repositories',
      access: administrator,
      query: pageQuery,
      handle: async ({ query }) => runs({}, query),
    }),
  ]
}
