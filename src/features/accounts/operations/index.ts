import type { Operation } from '../../../api/operation.ts'
import { auditOperations } from './audit.ts'
import type { Deps } from './deps.ts'
import { organizationOperations } from './organizations.ts'
import { passkeyOperations } from './passkeys.ts'
import { policyOperations } from './policies.ts'
import { refusalOperations } from './refusals.ts'
import { repositoryOperations } from './repositories.ts'
import { robotOperations } from './robots.ts'
import { sessionOperations } from './session.ts'
import { browserOperations } from './sessions.ts'
import { tokenOperations } from './tokens.ts'
import { userOperations } from './users.ts'

/** All operations on accounts. */
export function operations(deps: Deps): Operation[] {
  return [
    ...sessionOperations(deps),
    ...browserOperations(deps),
    ...passkeyOperations(deps),
    ...tokenOperations(deps),
    ...userOperations(deps),
    ...organizationOperations(deps),
    ...robotOperations(deps),
    ...repositoryOperations(deps),
    ...policyOperations(deps),
    ...auditOperations(deps),
    ...refusalOperations(deps),
  ]
}
