import { type Operation, operation, signedIn } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import type { Access, Principal } from '../../../auth/types.ts'
import { namespaceOf } from '../../../identity/names.ts'
import type { Refusal } from '../../../metadata/account-facts.ts'
import type { Refused } from '../refusals.ts'
import type { Deps } from './deps.ts'

/** Why a request was refused. */
export function refusalOperations({ facts, refusals, judge }: Deps): Operation[] {
  const may = async (principal: Principal, access: Access) => (await judge(principal, access)).verdict === 'allowed'

  /** Who may decide about what was refused: administrators, and owners of the namespace. */
  async function rules(principal: Principal, { access }: Refused): Promise<boolean> {
    if (await may(principal, { type: 'registry', name: 'admin', action: '*' })) return true
    if (access?.type === 'repository')
      return may(principal, { type: 'organization', name: namespaceOf(access.name), action: 'admin' })
    return access?.type === 'organization' && may(principal, { ...access, action: 'admin' })
  }

  return [
    operation({
      method: 'GET',
      path: '/refusals/:id',
      summary:
        'Why a request was refused, by the X-Request-Id of the answer: to who asked, owners and administrators, for a day',
      access: signedIn,
      async handle({ params: { id }, principal }) {
        await refusals.flush()
        for (const refusal of await facts.refusals.find(id)) {
          const refused = JSON.parse(refusal.body) as Refused
          if (await rules(principal, refused)) return { body: show(refusal, refused) }
          if (isAbout(principal, refused)) return { body: show(refusal, refused.isHidden ? veiled(refused) : refused) }
        }
        throw new Problem('not-found', `no refusal ${id} that you may see in the last day`)
      },
    }),
  ]
}

/** Whether it happened to them: by what they proved, or to their name by who did not. */
function isAbout(principal: Principal, { kind, name, claimed }: Refused): boolean {
  if (principal.kind === 'anonymous') return false
  return kind === 'anonymous' ? claimed === principal.name : kind === principal.kind && name === principal.name
}

/** Who may not read a repository is not told by which rule, for that would tell whether it is there. */
function veiled(refused: Refused): Refused {
  const name = refused.access ? namespaceOf(refused.access.name) : ''
  return { ...refused, rule: 'nothing allows it', fix: `check the name, or ask an owner of ${name}` }
}

function show({ id, at }: Refusal, { kind, name, claimed, access, isHidden: _, ...rest }: Refused) {
  return {
    id,
    at: new Date(at).toISOString(),
    ...rest,
    identity: kind === 'anonymous' ? 'nobody' : `${kind}:${name}`,
    ...(claimed !== '' && { claimed }),
    ...(access && { access: `${access.type}:${access.name}:${access.action}` }),
  }
}
