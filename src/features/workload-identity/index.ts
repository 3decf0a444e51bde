import { hash } from 'node:crypto'
import { readToken } from '../../auth/basic.ts'
import { refusedToken } from '../../auth/bearers.ts'
import { createIssuer } from '../../auth/issuer.ts'
import { isSignedBy, type Jwt, leeway, looksLikeJwt, objectionTo, readJwt } from '../../auth/jwt.ts'
import type { Authenticator, Principal } from '../../auth/types.ts'
import type { WorkloadIdentityRule } from '../../config/configuration.ts'
import type { OciError } from '../../oci/errors.ts'
import { createGetDocument } from '../../platform/get-document.ts'
import type { Feature, Platform } from '../feature.ts'
import { grantsOf, unmet } from './rules.ts'

/**
 * Jobs sign in with what their platform says of them, so that no secret lies there: its token is their password or bearer, or is
 * exchanged once for one of ours. Which tokens count, and for what, say the rules.
 */
export function workloadIdentity({ configuration, vault, clock, log }: Platform): Feature {
  const rules = configuration.workloadIdentity
  const getDocument = createGetDocument(configuration.outgoing.allow)
  const issuers = new Map(
    rules.map(({ issuer, jwks: file }) => {
      const onFailure = (error: unknown) => log.warn('issuer.keys-not-fetched', { issuer, error: String(error) })
      return [issuer, createIssuer({ issuer, file, getDocument, clock, onFailure })]
    }),
  )

  /** The rule that takes a token, which is good then; undefined when it is of an issuer without rules. @throws OciError UNAUTHORIZED */
  async function judge(token: string): Promise<{ jwt: Jwt; rule: WorkloadIdentityRule } | undefined> {
    const jwt = looksLikeJwt(token) ? readJwt(token) : undefined
    const issuer = jwt?.claims.iss
    const keys = typeof issuer === 'string' ? issuers.get(issuer) : undefined
    if (!jwt || !keys) return undefined
    const own = rules.filter((rule) => rule.issuer === issuer)
    const key = await keys.find(jwt.header.kid)
    if (!key || !isSignedBy(jwt, key)) throw refused(jwt, 'its issuer did not sign it')
    const now = clock.now().getTime()
    const problems = own.map((rule) => {
      const objection = objectionTo(jwt.claims, { issuer: rule.issuer, audiences: rule.audiences, now })
      const claim = unmet(rule, jwt.claims)
      return objection ?? (claim === undefined ? undefined : `its ${claim} is ${JSON.stringify(jwt.claims[claim])}`)
    })
    const rule = own[problems.indexOf(undefined)]
    if (!rule) throw refused(jwt, [...new Set(problems)].join(', '))
    return { jwt, rule }
  }

  function refused({ claims: { iss, sub } }: Jwt, problem: string): OciError {
    log.warn('login.failed', { issuer: iss, subject: String(sub).slice(0, 200), problem: problem.slice(0, 300) })
    return refusedToken(problem.slice(0, 300))
  }

  function principalOf(rule: WorkloadIdentityRule, address: string, until: number): Principal {
    const granted = grantsOf(rule)
    return { kind: 'robot', name: rule.robot ?? rule.name, address, until, ...(granted && { granted }) }
  }

  const authenticator: Authenticator = {
    async authenticate({ authorization }, address) {
      const token = readToken(authorization)
      const judged = token === undefined ? undefined : await judge(token)
      return judged && principalOf(judged.rule, address, Number(judged.jwt.claims.exp) * 1000)
    },
    async exchange(token, address) {
      const judged = await judge(token)
      if (!judged) return undefined
      const { jwt, rule } = judged
      const { iss, jti, exp } = jwt.claims
      // By what it says, not by how it is written: a signature can be.
      const id = hash('sha256', jti === undefined ? jwt.signed : JSON.stringify([iss, jti]), 'hex')
      const endsAt = new Date((Number(exp) + 2 * leeway) * 1000)
      if (!(await vault.add('used-token', id, { text: '', endsAt }))) throw refused(jwt, 'it was used before')
      return principalOf(rule, address, clock.now().getTime() + rule.lifeMs)
    },
  }

  return {
    name: 'workload-identity',
    authenticators: [authenticator],
    async start() {
      for (const issuer of issuers.values()) await issuer.load()
    },
    jobs: [{ name: 'used-tokens', everySeconds: 3600, run: vault.sweep }],
  }
}
