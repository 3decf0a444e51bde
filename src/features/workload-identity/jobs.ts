import { hash } from 'node:crypto'
import { refusedToken } from '../../auth/bearers.ts'
import { createIssuer } from '../../auth/issuer.ts'
import { isSignedBy, type Jwt, leeway, objectionTo, readJwt } from '../../auth/jwt.ts'
import type { Principal } from '../../auth/types.ts'
import type { WorkloadIdentityRule } from '../../config/configuration.ts'
import type { RobotTrust } from '../../metadata/account-facts.ts'
import type { OciError } from '../../oci/errors.ts'
import { createGetDocument } from '../../platform/get-document.ts'
import type { Platform } from '../feature.ts'
import { grantsOf, unmet } from './rules.ts'

/** Of so many issuers that owners name the keys are kept. */
const maxIssuers = 1000
/** How long a token lasts that is given for one of an issuer that an owner named. */
const lifeMs = 60 * 60_000

type Issuer = ReturnType<typeof createIssuer>
export type Jobs = ReturnType<typeof createJobs>

/** Judges tokens of platforms by the rules there are. */
export function createJobs({ configuration, accounts: facts, vault, clock, log }: Platform) {
  const rules = configuration.workloadIdentity
  const getDocument = createGetDocument(configuration.outgoing.allow)
  const configured = new Map(rules.map(({ issuer, jwks: file }) => [issuer, issuerAt(issuer, file)]))
  const named = new Map<string, Issuer>()

  function issuerAt(issuer: string, file: string | undefined): Issuer {
    const onFailure = (error: unknown) => log.warn('issuer.keys-not-fetched', { issuer, error: String(error) })
    return createIssuer({ issuer, file, getDocument, clock, onFailure })
  }

  function issuerOf(issuer: string): Issuer {
    const known = configured.get(issuer) ?? named.get(issuer)
    if (known) return known
    if (named.size >= maxIssuers) named.delete(named.keys().next().value!)
    const made = issuerAt(issuer, undefined)
    named.set(issuer, made)
    return made
  }

  /** The rule that takes a token, which is good then; undefined when it is of an issuer without rules. @throws OciError UNAUTHORIZED */
  async function judge(token: string, name?: string): Promise<{ jwt: Jwt; rule: WorkloadIdentityRule } | undefined> {
    const jwt = readJwt(token)
    const issuer = jwt?.claims.iss
    if (!jwt || typeof issuer !== 'string') return undefined
    const own = rules.filter((rule) => rule.issuer === issuer)
    const trusts = await facts.list('robot_trust', { issuer })
    if (own.length === 0 && trusts.length === 0) return undefined
    const key = await issuerOf(issuer).find(jwt.header.kid)
    if (!key || !isSignedBy(jwt, key)) throw refused(jwt, 'its issuer did not sign it')
    const problems: string[] = []
    const fits = (rule: WorkloadIdentityRule) => {
      const problem = problemWith(jwt, rule)
      if (problem !== undefined) problems.push(problem)
      return problem === undefined
    }
    const rule = own.find(fits) ?? robotsRule(jwt, trusts.map(ruleOf).filter(fits), name)
    if (!rule) throw refused(jwt, [...new Set(problems)].join(', '))
    return { jwt, rule }
  }

  function problemWith({ claims }: Jwt, rule: WorkloadIdentityRule): string | undefined {
    const { issuer, audiences } = rule
    const claim = unmet(rule, claims)
    return (
      objectionTo(claims, { issuer, audiences, now: clock.now().getTime() }) ??
      (claim === undefined ? undefined : `its ${claim} is ${JSON.stringify(claims[claim])}`)
    )
  }

  /** Any owner may trust anybody's jobs: which robot is meant says the user name, unless there is only one. */
  function robotsRule(jwt: Jwt, fitting: WorkloadIdentityRule[], name = ''): WorkloadIdentityRule | undefined {
    const meant = fitting.find(({ robot }) => robot === name)
    if (meant) return meant
    if (name.startsWith('robot.')) throw refused(jwt, 'the robot of that name does not trust it')
    if (new Set(fitting.map(({ robot }) => robot)).size > 1)
      throw refused(jwt, 'several robots trust it: take the login of one as user name')
    return fitting[0]
  }

  function refused({ claims: { iss, sub } }: Jwt, problem: string): OciError {
    log.warn('login.failed', { issuer: iss, subject: String(sub).slice(0, 200), problem: problem.slice(0, 300) })
    return refusedToken(problem.slice(0, 300))
  }

  function principalOf(rule: WorkloadIdentityRule, address: string, until: number): Principal {
    const granted = grantsOf(rule)
    return { kind: 'robot', name: rule.robot ?? rule.name, address, until, ...(granted && { granted }) }
  }

  return {
    /** Reads the files with keys. @throws Error when one cannot be used */
    async start(): Promise<void> {
      for (const issuer of configured.values()) await issuer.load()
    },
    /** Whom a token stands for; `name` is the user name beside it. @throws OciError UNAUTHORIZED */
    async signIn(token: string, address: string, name?: string): Promise<Principal | undefined> {
      const judged = await judge(token, name)
      return judged && principalOf(judged.rule, address, Number(judged.jwt.claims.exp) * 1000)
    },
    /** The same, once for each token. @throws OciError UNAUTHORIZED */
    async exchange(token: string, address: string): Promise<Principal | undefined> {
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
}

/** What an owner said, as a rule of the configuration says it: the job may what the robot may, and no more. */
function ruleOf({ robot, issuer, audiences, claims }: RobotTrust): WorkloadIdentityRule {
  const conditions = Object.entries(JSON.parse(claims) as Record<string, string[]>).map(([claim, values]) => ({
    claim,
    values,
  }))
  return { name: robot, robot, issuer, audiences, jwks: undefined, conditions, grants: [], lifeMs }
}
