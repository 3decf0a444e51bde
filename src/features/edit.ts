import type { Answer, Call } from '../api/operation.ts'
import { Problem } from '../api/problem.ts'
import type { AccountChange, AccountFacts } from '../metadata/account-facts.ts'

/** What an operation wants changed, as it is recorded, and its answer. */
export interface Edit {
  changes: AccountChange[]
  /** Such as `user.created`; without it nothing is changed. */
  action?: string
  target: string
  detail?: Record<string, unknown>
  answer: Answer
}

type Caller = Pick<Call<unknown, unknown, unknown>, 'principal'>

const attempts = 10

/**
 * Changes accounts or rules: `work` looks and says what shall be; where something changed meanwhile it is asked again, so what it
 * saw still holds when it becomes true.
 */
export async function edit(
  { facts, changed }: { facts: AccountFacts; changed?: () => Promise<void> },
  caller: Caller,
  work: () => Promise<Edit>,
): Promise<Answer> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const version = await facts.version()
    const { changes, answer, ...act } = await work()
    if (act.action === undefined) return answer
    if (!(await facts.change(version, changes, [entryOf(caller, { ...act, action: act.action })]))) continue
    await changed?.()
    return answer
  }
  throw new Problem('unavailable', 'others change accounts at the same time: try again', {
    headers: { 'Retry-After': '1' },
  })
}

interface Act {
  action: string
  target: string
  detail?: Record<string, unknown>
}

/** Records in the audit log what somebody did that is no change of accounts or rules. */
export async function recordAct(facts: AccountFacts, caller: Caller, act: Act): Promise<void> {
  await facts.audit.record([entryOf(caller, act)])
}

function entryOf({ principal }: Caller, { action, target, detail }: Act) {
  const actor = principal.kind === 'anonymous' ? '' : principal.name
  return { action, actor, address: principal.address, target, ...(detail && { detail }) }
}
