import { matches } from '../../auth/grants.ts'
import type { Grant } from '../../auth/types.ts'
import type { WorkloadIdentityRule } from '../../config/configuration.ts'
import type { Json, JsonObject } from '../../oci/strict-json.ts'

/** The first condition of a rule that a token's claims do not meet; undefined when they meet all. */
export function unmet({ conditions }: WorkloadIdentityRule, claims: JsonObject): string | undefined {
  return conditions.find(({ claim, values }) => !values.some((value) => fits(value, claims[claim])))?.claim
}

/** Whether a claim is what a pattern says; of a list, whether one of it is. */
function fits(pattern: string, claim: Json | undefined): boolean {
  if (Array.isArray(claim)) return claim.some((one) => !Array.isArray(one) && fits(pattern, one))
  if (typeof claim !== 'string' && typeof claim !== 'number' && typeof claim !== 'boolean') return false
  return (
    String(claim) === pattern || (pattern.includes('*') && matches(pattern.replaceAll(/\*+/g, '**'), String(claim)))
  )
}

/** What a rule lets its bearer do; undefined: what the robot may. */
export function grantsOf({ grants }: WorkloadIdentityRule): Grant[] | undefined {
  if (grants.length === 0) return undefined
  return grants.map(({ repository, actions }) => ({ type: 'repository', name: repository, actions }))
}
