import { randomUUID } from 'node:crypto'
import { type Call, type Operation, operation, page, pageQuery, signedIn } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { choice, list, moment, object, text, whole } from '../../../api/schema.ts'
import type { Principal } from '../../../auth/types.ts'
import { includesScope, scopeNames } from '../../../identity/roles.ts'
import { hashSecret, makeSecret } from '../../../identity/secrets.ts'
import type { AccessToken, Account } from '../../../metadata/account-facts.ts'
import { type Deps, type Edit, edit, expectPatterns, found, invalid, repositoryPattern, timeOf } from './deps.ts'

const dayMs = 24 * 60 * 60_000
/** How long a token is good where nobody says. */
const usualMs = 90 * dayMs
const maxTokens = 200

export const showToken = ({
  id,
  account,
  name,
  scopes,
  repositories,
  createdAt,
  expiresAt,
  usedAt,
  usedFrom,
}: AccessToken) => ({
  id,
  account,
  name,
  scopes,
  repositories,
  createdAt: timeOf(createdAt),
  expiresAt: timeOf(expiresAt),
  lastUsedAt: timeOf(usedAt),
  lastUsedFrom: usedFrom || null,
})

const tokenName = text({ min: 1, max: 100, pattern: /^[^\p{Cc}]*$/u, form: 'expected one line of text' })

export const tokenBody = object(
  { name: tokenName },
  {
    scopes: list(choice(scopeNames), 10),
    repositories: list(repositoryPattern, 50),
    /** Never, where it is empty. */
    expiresAt: moment,
    expiresInDays: whole(0, 3650),
  },
)

/** With an overlap the old secret stays good for so long. */
export const rotateBody = object({}, { overlapSeconds: whole(0, 30 * 24 * 60 * 60), expiresInDays: whole(0, 3650) })

interface Rotation {
  overlapSeconds?: number | undefined
  expiresInDays?: number | undefined
}

interface NewToken {
  name: string
  scopes?: string[] | undefined
  repositories?: string[] | undefined
  expiresAt?: string | undefined
  expiresInDays?: number | undefined
}

/** A token and its secret, which is told once. Where nobody says how long it is good, it ends at `latest` at the latest. */
export function makeToken(
  deps: Pick<Deps, 'clock'>,
  { name, kind }: Pick<Account, 'name' | 'kind'>,
  wanted: NewToken,
  latest = Infinity,
) {
  const now = deps.clock.now().getTime()
  const { scopes = ['repo:read', 'repo:write'], repositories = [], expiresAt, expiresInDays } = wanted
  if (expiresAt !== undefined && expiresInDays !== undefined)
    throw invalid('/expiresInDays', 'stands beside expiresAt: expected one of them')
  expectPatterns(repositories, '/repositories')
  const usual = () => (expiresInDays === undefined ? Math.min(now + usualMs, latest) : daysFrom(now, expiresInDays))
  const ends = expiresAt === undefined ? usual() : Date.parse(expiresAt)
  if (ends !== 0 && ends <= now) throw invalid('/expiresAt', 'has passed')
  const secret = makeSecret(kind === 'robot' ? 'rob' : 'pat')
  const token: AccessToken = {
    id: `tok_${randomUUID().replaceAll('-', '')}`,
    account: name,
    name: wanted.name,
    hash: hashSecret(secret),
    scopes,
    repositories,
    createdAt: now,
    expiresAt: ends,
    usedAt: 0,
    usedFrom: '',
  }
  return { token, secret }
}

/** A new token of a user, as it is added. @throws Problem invalid, conflict where there are too many */
export async function creation(
  deps: Pick<Deps, 'clock' | 'facts'>,
  account: Account,
  wanted: NewToken,
  latest?: number,
) {
  const { token, secret } = makeToken(deps, account, wanted, latest)
  const all = await deps.facts.list('access_token', { account: account.name })
  const now = deps.clock.now().getTime()
  const ended = all.length < maxTokens ? [] : all.filter(({ expiresAt }) => expiresAt !== 0 && expiresAt <= now)
  if (all.length - ended.length >= maxTokens)
    throw new Problem('conflict', `${account.name} has ${maxTokens} access tokens: delete some first`)
  const made: Edit = {
    changes: [...ended.map(({ id }) => removal(id)), { table: 'access_token', put: token }],
    action: 'token.created',
    target: `${account.name}/${token.id}`,
    detail: { name: token.name, scopes: token.scopes, repositories: token.repositories },
    answer: { status: 201, body: { ...showToken(token), secret } },
  }
  return { token, secret, made }
}

/** In so many days; 0: never. */
const daysFrom = (now: number, days: number): number => (days === 0 ? 0 : now + days * dayMs)

/**
 * Gives a token a new secret under a new id; the old one ends after the overlap. The new one is good for as long as the old one was made
 * for, but where nobody says so not beyond `latest`.
 * @throws Problem invalid
 */
export function rotate(
  deps: Pick<Deps, 'clock'>,
  account: Pick<Account, 'name' | 'kind'>,
  old: AccessToken,
  { overlapSeconds = 0, expiresInDays, latest = Infinity }: Rotation & { latest?: number },
) {
  const now = deps.clock.now().getTime()
  const usual = Math.min(old.expiresAt === 0 ? Infinity : now + old.expiresAt - old.createdAt, latest)
  const life = usual === Infinity ? { expiresInDays: 0 } : { expiresAt: new Date(usual).toISOString() }
  const wanted = { name: old.name, scopes: old.scopes, repositories: old.repositories }
  const made = makeToken(deps, account, { ...wanted, ...(expiresInDays === undefined ? life : { expiresInDays }) })
  const ends = now + overlapSeconds * 1000
  const ended = { ...old, expiresAt: old.expiresAt === 0 ? ends : Math.min(old.expiresAt, ends) }
  return { ...made, ended }
}

/** What is kept of the one before: nothing where it ends at once. */
export function endOf(ended: AccessToken, overlapSeconds: number | undefined) {
  if (overlapSeconds) return { table: 'access_token', put: ended } as const
  return removal(ended.id)
}

const removal = (id: string) => ({ table: 'access_token', remove: { id } }) as const

/** One's own access tokens. */
export function tokenOperations(deps: Deps): Operation[] {
  const { facts, directory } = deps

  async function accountOf({ principal }: Pick<Call<unknown, unknown, unknown>, 'principal'>): Promise<Account> {
    const name = principal.kind === 'anonymous' ? '' : principal.name
    const account = await facts.find('account', { name })
    if (account) return account
    throw new Problem('forbidden', `${name} has no account here, so it can have no access tokens`)
  }

  async function ownToken(
    call: Pick<Call<{ id: string }, unknown, unknown>, 'principal' | 'params'>,
  ): Promise<AccessToken> {
    const { name } = await accountOf(call)
    return found(
      await facts.find('access_token', { id: call.params.id, account: name }),
      `access token ${call.params.id} of ${name}`,
    )
  }

  return [
    operation({
      method: 'GET',
      path: '/tokens',
      summary: "List one's own access tokens; by an access token, those that may do no more",
      access: signedIn,
      query: pageQuery,
      async handle(call) {
        const { name } = await accountOf(call)
        const bounds = await boundsOf(call.principal)
        const all = await facts.list('access_token', { account: name })
        const shown = all.filter((token) => covers(bounds, token))
        return page(
          call.query,
          async ({ limit, last: [after = ''] = [] }) => shown.filter(({ id }) => id > after).slice(0, limit),
          ({ id }) => [id],
          showToken,
        )
      },
    }),

    operation({
      method: 'POST',
      path: '/tokens',
      summary: 'Make an access token; its secret is told once',
      access: signedIn,
      body: tokenBody,
      replies: { 201: 'Made; `secret` is not told again.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const bounds = await boundsOf(call.principal)
          const { token, made } = await creation(deps, await accountOf(call), call.body, bounds.latest)
          expectWithin(bounds, token)
          return made
        }),
    }),

    operation({
      method: 'GET',
      path: '/tokens/:id',
      summary: "Show one of one's own access tokens",
      access: signedIn,
      async handle(call) {
        const token = await ownToken(call)
        expectCovered(await boundsOf(call.principal), token)
        return { body: showToken(token) }
      },
    }),

    operation({
      method: 'POST',
      path: '/tokens/:id/rotate',
      summary: 'Give an access token a new secret; the old one stays good for the overlap',
      access: signedIn,
      body: rotateBody,
      replies: { 201: 'Made; `secret` is not told again.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const bounds = await boundsOf(call.principal)
          return rotation(await accountOf(call), await ownToken(call), call.body, bounds)
        }),
    }),

    operation({
      method: 'DELETE',
      path: '/tokens/:id',
      summary: 'Revoke an access token',
      access: signedIn,
      replies: { 204: 'Revoked.' },
      handle: async (call) =>
        edit(deps, call, async () => {
          const token = await ownToken(call)
          expectCovered(await boundsOf(call.principal), token)
          return {
            changes: [removal(token.id)],
            action: 'token.deleted',
            target: `${token.account}/${token.id}`,
            answer: {},
          }
        }),
    }),
  ]

  function rotation(account: Account, old: AccessToken, body: Rotation, bounds: Bounds) {
    const { token, secret, ended } = rotate(deps, account, old, { ...body, latest: bounds.latest })
    expectWithin(bounds, token)
    return {
      changes: [{ table: 'access_token', put: token } as const, endOf(ended, body.overlapSeconds)],
      action: 'token.rotated',
      target: `${account.name}/${old.id}`,
      detail: { to: token.id },
      answer: { status: 201, body: { ...showToken(token), secret } },
    }
  }

  /** What bounds the tokens somebody makes: the one they signed in by, and how long what they signed in with is good. */
  async function boundsOf(principal: Principal): Promise<Bounds> {
    const id = principal.kind === 'anonymous' ? undefined : principal.token
    const own = id === undefined ? undefined : await directory.restrictionOf(id)
    if (id !== undefined && !own) throw new Problem('forbidden', 'the access token is gone')
    return { own, latest: Math.min(own?.expiresAt || Infinity, principal.until ?? Infinity) }
  }
}

interface Bounds {
  own: AccessToken | undefined
  /** Milliseconds since 1970, or Infinity. */
  latest: number
}

/** Who signed in by a token, or for a while, makes none that may do more or lasts longer. @throws Problem forbidden */
function expectWithin(bounds: Bounds, token: AccessToken): void {
  expectCovered(bounds, token)
  if ((token.expiresAt || Infinity) > bounds.latest)
    throw new Problem('forbidden', `by what you signed in with no token can be made that lasts longer: ${personally}`)
}

/** Who signed in by a token has nothing to do with those that may do more. @throws Problem forbidden */
function expectCovered(bounds: Bounds, token: AccessToken): void {
  if (!covers(bounds, token))
    throw new Problem('forbidden', `by an access token you have nothing to do with one that may do more: ${personally}`)
}

function covers({ own }: Bounds, { scopes, repositories }: AccessToken): boolean {
  if (own === undefined) return true
  return (
    scopes.every((scope) => includesScope(own.scopes, scope)) &&
    (own.repositories.length === 0 ||
      (repositories.length > 0 && repositories.every((pattern) => own.repositories.includes(pattern))))
  )
}

const personally = 'sign in with a password'
