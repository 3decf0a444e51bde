import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { administrator, type Operation, operation } from '../../api/operation.ts'
import { Problem } from '../../api/problem.ts'
import { choice, flag, object } from '../../api/schema.ts'
import type { Kept } from '../../collection/kept.ts'
import type { Plan } from '../../collection/plan.ts'
import type { AccountFacts } from '../../metadata/account-facts.ts'
import type { RunOptions } from '../../collection/collector.ts'
import type { createAsked } from '../asked.ts'
import { recordAct } from '../edit.ts'

const waitMs = 20_000
const lookMs = 200

interface Deps {
  asked: ReturnType<typeof createAsked<RunOptions>>
  plan(untagged?: boolean): Promise<Plan>
  kept(untagged?: boolean): Promise<Kept[]>
  isOn: boolean
  accounts: AccountFacts
}

/** Has the garbage collected now, or tells what would go. */
export function collectionOperations({ asked, plan, kept, isOn, accounts }: Deps): Operation[] {
  const showPlan = ({ untagged, trash, garbage, doomed, objection }: Plan) => ({
    state: 'planned',
    untagged,
    ...{ trash, garbage, doomed },
    ...(objection !== undefined && { objection }),
  })

  return [
    operation({
      method: 'POST',
      path: '/jobs',
      summary: 'Collect garbage now; with `dryRun` only tell what would go',
      access: administrator,
      body: object({ kind: choice(['gc']) }, { dryRun: flag, force: flag, untagged: flag }),
      replies: { 200: 'Done, or planned.', 202: 'Asked for; `GET /jobs/ID` tells what came of it.' },
      async handle(call) {
        const { dryRun = false, force = false, untagged } = call.body
        if (dryRun) return { body: { ...showPlan(await plan(untagged)), kept: await kept(untagged) } }
        if (!isOn)
          throw new Problem(
            'conflict',
            'nothing is collected here: holdfast.gc.enabled is off, or the storage is read-only',
          )
        const { id } = await asked.ask({ id: randomUUID(), force, ...(untagged !== undefined && { untagged }) })
        await recordAct(accounts, call, { action: 'gc.asked', target: id, detail: { force, untagged } })
        for (const end = performance.now() + waitMs; performance.now() < end; await setTimeout(lookMs)) {
          const report = await asked.report()
          if (report?.id === id) return { body: report }
        }
        return { status: 202, body: { id, state: 'waiting' }, headers: { Location: `/api/v1/jobs/${id}` } }
      },
    }),

    operation({
      method: 'GET',
      path: '/jobs/:id',
      summary: 'Tell what came of a collection that was asked for',
      access: administrator,
      async handle({ params: { id } }) {
        const state = await asked.stateOf(id)
        if (state) return { body: state }
        throw new Problem('not-found', 'there is no such job; only the last one is remembered')
      },
    }),
  ]
}
