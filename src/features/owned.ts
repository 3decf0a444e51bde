import { found } from '../api/problem.ts'
import type { Access } from '../auth/types.ts'
import { robotName } from '../identity/names.ts'
import type { Account, AccountFacts } from '../metadata/account-facts.ts'

/** What an operation on `/orgs/:org/…` needs that only owners may. */
export const asOwner = ({ org }: { org: string }): Access[] => [{ type: 'organization', name: org, action: 'admin' }]

/** The robot of a path. @throws Problem not-found */
export async function robotOf(facts: AccountFacts, { org, robot }: { org: string; robot: string }): Promise<Account> {
  const account = await facts.find('account', { name: robotName(org, robot), kind: 'robot', organization: org })
  return found(account, `robot ${robot} in ${org}`)
}
