import { type Condition, type Context, parseCondition } from './conditions.ts'
import { matchesPattern } from './pattern.ts'
import type { RepositoryAction } from './roles.ts'

/** Who asks, as policies name them: `user:ann`, `team:acme/dev`, `everyone`, …, and `*` for anybody. */
export type PrincipalNames = ReadonlySet<string>

/** A statement that is ready to be asked. */
export interface Statement {
  /** As people may find it again: the name of the policy and its `Sid` or number. */
  name: string
  effect: 'Allow' | 'Deny'
  concerns(names: PrincipalNames): boolean
  actsOn(action: string): boolean
  covers(repository: string, context: Context): boolean
  holds: Condition
}

export interface Policy {
  name: string
  /** Only repositories in it are concerned; empty: all. */
  namespace: string
  statements: Statement[]
}

/** The acts of ECR's interface that an act of the Docker protocol is made of: none may be denied, and all must be allowed. */
const ecrActions: Record<RepositoryAction | 'login', string[]> = {
  login: ['ecr:GetAuthorizationToken'],
  pull: ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
  push: [
    'ecr:BatchCheckLayerAvailability',
    'ecr:InitiateLayerUpload',
    'ecr:UploadLayerPart',
    'ecr:CompleteLayerUpload',
    'ecr:PutImage',
  ],
  delete: ['ecr:BatchDeleteImage'],
  sign: ['ecr:PutImageSignature'],
  admin: ['ecr:SetRepositoryPolicy'],
}

/** Our own name for such an act as a whole: `holdfast:Pull`. */
const ownName = (action: string) => `holdfast:${action}`

/** What the statements of all policies together say: an explicit denial wins, and without an allowance there is none. */
export function judge(
  policies: readonly Policy[],
  asked: { action: RepositoryAction | 'login'; repository: string; names: PrincipalNames; context: Context },
): { effect: 'Allow' | 'Deny'; by: string } | undefined {
  const { action, repository, names, context } = asked
  const parts = ecrActions[action]
  const missing = new Set(parts)
  let allowedBy: string | undefined
  for (const { namespace, statements } of policies) {
    if (namespace !== '' && repository !== namespace && !repository.startsWith(`${namespace}/`)) continue
    for (const { name, effect, concerns, actsOn, covers, holds } of statements) {
      const touched = parts.filter((part) => actsOn(part))
      if (touched.length === 0 || !concerns(names) || !covers(repository, context) || !holds(context)) continue
      if (effect === 'Deny') return { effect, by: name }
      for (const part of touched) missing.delete(part)
      allowedBy ??= name
    }
  }
  return allowedBy !== undefined && missing.size === 0 ? { effect: 'Allow', by: allowedBy } : undefined
}

const maxText = 10_240
const maxStatements = 100

/**
 * Reads a policy in the form of IAM: statements of Effect, Principal, Action, Resource and Condition, or NotPrincipal, NotAction
 * and NotResource. What is not known is refused, for to pass over it could allow what was not meant.
 * @throws Error that says where it is wrong
 */
export function parsePolicy(name: string, namespace: string, text: string): Policy {
  if (text.length > maxText) throw new Error(`the policy is longer than ${maxText} characters`)
  const document = parseJson(text)
  expectKeys(document, ['Version', 'Id', 'Statement'], 'the policy')
  const version = document.Version ?? '2008-10-17'
  if (version !== '2012-10-17' && version !== '2008-10-17')
    throw new Error(`the policy has the Version ${JSON.stringify(version)}; expected "2012-10-17"`)
  const given = Array.isArray(document.Statement) ? document.Statement : [document.Statement]
  if (given.length > maxStatements) throw new Error(`the policy has more than ${maxStatements} statements`)
  const fill = version === '2012-10-17' ? fillVariables : (text: string) => text
  return { name, namespace, statements: given.map((one, index) => parseStatement(one, index, name, fill)) }
}

type Fill = (text: string, context: Context) => string

function parseStatement(given: unknown, index: number, policy: string, fill: Fill): Statement {
  const at = `Statement[${index}]`
  if (!isObject(given)) throw new Error(`${at} is no object`)
  expectKeys(
    given,
    ['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'],
    at,
  )
  const { Sid: sid, Effect: effect } = given
  if (effect !== 'Allow' && effect !== 'Deny') throw new Error(`${at}.Effect must be "Allow" or "Deny"`)
  if (sid !== undefined && !(typeof sid === 'string' && /^[\w-]{1,100}$/.test(sid)))
    throw new Error(`${at}.Sid must be letters and digits`)
  return {
    name: `${policy}, statement ${sid ?? index}`,
    effect,
    concerns: parseWho(given, at),
    actsOn: parseWhat(given, at),
    covers: parseWhere(given, at, fill),
    holds: parseConditions(given.Condition, at, fill),
  }
}

/** Either a key or its negation, with the values of the one that is there. */
function either(given: Record<string, unknown>, key: string, at: string): { value: unknown; isNot: boolean } {
  const [value, not] = [given[key], given[`Not${key}`]]
  if (value !== undefined && not !== undefined) throw new Error(`${at} has both ${key} and Not${key}`)
  return { value: value ?? not, isNot: not !== undefined }
}

function parseWho(given: Record<string, unknown>, at: string): Statement['concerns'] {
  const { value, isNot } = either(given, 'Principal', at)
  if (value === undefined) throw new Error(`${at} has no Principal`)
  const wanted = value === '*' ? ['*'] : namesIn(value, `${at}.Principal`)
  return (names) => wanted.some((name) => names.has(name)) !== isNot
}

function namesIn(value: unknown, at: string): string[] {
  if (!isObject(value)) throw new Error(`${at} must be "*", {"AWS": …} or {"Holdfast": …}`)
  expectKeys(value, ['AWS', 'Holdfast'], at)
  return [
    ...texts(value.AWS ?? [], `${at}.AWS`).map((arn) => nameOfArn(arn, `${at}.AWS`)),
    ...texts(value.Holdfast ?? [], `${at}.Holdfast`).map((name) => {
      if (/^(\*|everyone|anonymous|(user|robot|org):[a-z0-9._-]+|team:[a-z0-9._-]+\/[a-z0-9_-]+)$/.test(name))
        return name
      throw new Error(
        `${at}.Holdfast has ${JSON.stringify(name)}; expected user:NAME, robot:NAME, team:ORGANIZATION/TEAM, org:NAME, everyone or *`,
      )
    }),
  ]
}

/** The principal that an ARN stands for: users are users, roles robots or teams, the root of an account all who sign in. */
function nameOfArn(arn: string, at: string): string {
  if (arn === '*') return '*'
  if (/^\d{12}$/.test(arn)) return 'everyone'
  const [, kind, name] = /^arn:[\w-]*:(?:iam|sts)::\d{12}:(root|user|role)\/?([\w./-]*)$/.exec(arn) ?? []
  if (kind === 'root' && name === '') return 'everyone'
  if (kind === 'user' && name) return `user:${name}`
  if (kind === 'role' && name) return name.includes('/') ? `team:${name}` : `robot:${name}`
  throw new Error(
    `${at} has ${JSON.stringify(arn)}; expected arn:aws:iam::ACCOUNT:user/NAME, :role/ROBOT, :role/ORGANIZATION/TEAM or :root`,
  )
}

function parseWhat(given: Record<string, unknown>, at: string): Statement['actsOn'] {
  const { value, isNot } = either(given, 'Action', at)
  if (value === undefined) throw new Error(`${at} has no Action`)
  const wanted = texts(value, `${at}.Action`).flatMap((action) => {
    if (action !== '*' && !/^(ecr|holdfast):[a-z*?]+$/i.test(action))
      throw new Error(
        `${at}.Action has ${JSON.stringify(action)}; expected such as ecr:BatchGetImage, holdfast:Pull or *`,
      )
    const pattern = action.toLowerCase()
    const whole = Object.entries(ecrActions).filter(([act]) => matchesPattern(pattern, ownName(act)))
    return [pattern, ...whole.flatMap(([, parts]) => parts.map((part) => part.toLowerCase()))]
  })
  return (action) => {
    const name = action.toLowerCase()
    return wanted.some((pattern) => matchesPattern(pattern, name)) !== isNot
  }
}

function parseWhere(given: Record<string, unknown>, at: string, fill: Fill): Statement['covers'] {
  const { value, isNot } = either(given, 'Resource', at)
  if (value === undefined) return () => true
  const wanted = texts(value, `${at}.Resource`).map((resource) => {
    const pattern = /^arn:[^:]*:ecr:[^:]*:[^:]*:repository\/(.+)$/.exec(resource)?.[1] ?? resource
    if (pattern.startsWith('arn:'))
      throw new Error(
        `${at}.Resource has ${JSON.stringify(resource)}; expected arn:aws:ecr:REGION:ACCOUNT:repository/NAME or a pattern of repositories`,
      )
    return pattern
  })
  return (repository, context) => wanted.some((pattern) => matchesPattern(fill(pattern, context), repository)) !== isNot
}

function parseConditions(given: unknown, at: string, fill: Fill): Condition {
  if (given === undefined) return () => true
  if (!isObject(given)) throw new Error(`${at}.Condition is no object`)
  const conditions = Object.entries(given).flatMap(([operator, keys]) => {
    if (!isObject(keys)) throw new Error(`${at}.Condition.${operator} is no object`)
    return Object.entries(keys).map(([key, values]) => {
      try {
        return parseCondition(operator, key, texts(values, `${at}.Condition.${operator}.${key}`), fill)
      } catch (error) {
        throw new Error(`${at}.Condition ${(error as Error).message}`, { cause: error })
      }
    })
  })
  return (context) => conditions.every((condition) => condition(context))
}

/**
 * `${aws:username}` and its like, where the context has one value for it; else nothing fits what holds it. Their stars are no
 * wildcards, and no name holds one, so what has them fits nothing either.
 */
function fillVariables(text: string, context: Context): string {
  if (!text.includes('${')) return text
  return text.replaceAll(/\$\{([^}]*)\}/g, (_, name: string) => {
    const value = name === '$' ? '$' : context[name.toLowerCase()]
    return typeof value === 'string' ? value.replaceAll(/[*?]/g, '\0') : '\0'
  })
}

function parseJson(text: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new Error(`the policy is no JSON: ${(error as Error).message}`, { cause: error })
  }
  if (!isObject(parsed)) throw new Error('the policy is no object')
  return parsed
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** One text or a list of them; numbers and booleans are read as IAM does. */
function texts(value: unknown, at: string): string[] {
  const all = Array.isArray(value) ? value : [value]
  return all.map((one) => {
    if (typeof one === 'string') return one
    if (typeof one === 'number' || typeof one === 'boolean') return String(one)
    throw new Error(`${at} must be a text or a list of texts`)
  })
}

function expectKeys(given: Record<string, unknown>, known: string[], at: string): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new Error(`${at} has ${JSON.stringify(unknown)}; expected ${known.join(', ')}`)
}
