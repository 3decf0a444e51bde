import {
  administrator,
  type Call,
  type Operation,
  expectMatch,
  operation,
  page,
  pageQuery,
  signedIn,
} from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { flag, object, text } from '../../../api/schema.ts'
import type { Access, Principal } from '../../../auth/types.ts'
import { accountNameForm, isAccountName } from '../../../identity/names.ts'
import { objectionToPassword } from '../../../identity/passwords.ts'
import { type Account, type AccountChange, isLastAdministrator, newAccount } from '../../../metadata/account-facts.ts'
import { type Deps, description, edit, found, invalid, timeOf } from './deps.ts'

export const showUser = (user: Account) => {
  const { name, isAdministrator, isDisabled, ownsNamespace, description, password, createdAt } = user
  return {
    name,
    isAdministrator,
    isDisabled,
    ownsNamespace,
    description,
    hasPassword: password !== '',
    createdAt: timeOf(createdAt),
  }
}

const password = text({ min: 1, max: 1000 })

/** Oneself, or whoever administers. */
export const selfOrAdministrator = ({ name }: { name: string }, principal: Principal): Access[] =>
  principal.kind === 'user' && principal.name === name ? signedIn() : administrator()

/** The same, but not by an access token: with it somebody could take the account over. */
const inPersonOrAdministrator = (params: { name: string }, principal: Principal): Access[] =>
  principal.kind === 'user' && principal.token === undefined ? selfOrAdministrator(params, principal) : administrator()

/** Local users. */
export function userOperations(deps: Deps): Operation[] {
  const { facts, clock, sessions, signIn } = deps
  const userOf = async (name: string) => found(await facts.find('account', { name, kind: 'user' }), `user ${name}`)

  return [
    operation({
      method: 'GET',
      path: '/users',
      summary: 'List users',
      access: administrator,
      query: pageQuery,
      handle: async ({ query }) =>
        page(
          query,
          (part) => facts.list('account', { kind: 'user' }, part),
          ({ name }) => [name],
          showUser,
        ),
    }),

    operation({
      method: 'GET',
      path: '/users/:name',
      summary: 'Show a user',
      access: selfOrAdministrator,
      handle: async ({ params }) => ({ body: showUser(await userOf(params.name)) }),
    }),

    operation({
      method: 'PUT',
      path: '/users/:name',
      summary: 'Create or change a user',
      access: administrator,
      body: object({}, { isAdministrator: flag, isDisabled: flag, ownsNamespace: flag, description, password }),
      replies: { 200: 'Changed.', 201: 'Created.' },
      async handle(call) {
        const { params, body, request } = call
        const { name } = params
        const { password: plain, ...fields } = body
        if (plain !== undefined) expectPassword(plain, name)
        const hashed = plain === undefined ? undefined : await signIn.passwords.hash(plain)
        const answer = await edit(deps, call, async () => {
          const present = await facts.find('account', { name })
          if (present && present.kind !== 'user')
            throw new Problem('conflict', `${name} is the name of an ${present.kind}`)
          if (!present && !isAccountName(name)) throw invalid('/name', accountNameForm)
          expectMatch(request, present && showUser(present))
          const next = {
            ...(present ?? newAccount(name, 'user', clock.now().getTime())),
            ...withoutAbsent(fields),
            ...(hashed !== undefined && { password: hashed }),
          }
          if (present) await expectAdministrator(present, next)
          return {
            changes: [{ table: 'account', put: next }],
            action: present ? 'user.changed' : 'user.created',
            target: name,
            detail: { ...withoutAbsent(fields), ...(hashed !== undefined && { password: 'changed' }) },
            answer: { status: present ? 200 : 201, body: showUser(next) },
          }
        })
        // Or they would be back with the account; those of before another password are good no more.
        if (fields.isDisabled || hashed !== undefined) await endSessions(call)
        return answer
      },
    }),

    operation({
      method: 'PUT',
      path: '/users/:name/password',
      summary: 'Set a password',
      access: inPersonOrAdministrator,
      body: object({ password }, { current: password }),
      replies: { 204: 'Changed.' },
      async handle(call) {
        const { params, body, principal } = call
        const { name } = params
        expectPassword(body.password, name)
        const isOwn = principal.kind === 'user' && principal.name === name
        const { password: before } = await userOf(name)
        // Whoever finds an open session shall not keep it for ever.
        if (isOwn && before !== '') {
          const check = () => signIn.passwords.fits(body.current ?? '', before)
          if (!(await signIn.throttle.attempt(name, principal.address, check)))
            throw new Problem('forbidden', 'the current password is wrong: send it as "current"')
        }
        const hashed = await signIn.passwords.hash(body.password)
        const session = isOwn ? await sessions.current(call.request) : undefined
        const answer = await edit(deps, call, async () => ({
          changes: [{ table: 'account', put: { ...(await userOf(name)), password: hashed } }],
          action: 'user.password-changed',
          target: name,
          answer: {},
        }))
        await endSessions(call)
        // Who has just said the password stays, in a new session; all others end.
        return session ? { headers: { 'Set-Cookie': await sessions.begin(name, session.by, call.request) } } : answer
      },
    }),

    operation({
      method: 'DELETE',
      path: '/users/:name',
      summary: 'Delete a user with tokens, memberships and grants',
      access: administrator,
      replies: { 204: 'Deleted.' },
      async handle(call) {
        const answer = await edit(deps, call, async () => {
          const { name } = call.params
          const user = await userOf(name)
          expectMatch(call.request, showUser(user))
          await expectAdministrator(user, undefined)
          await expectEmpty(deps, name)
          return { changes: removalOf(user), action: 'user.deleted', target: name, answer: {} }
        })
        await endSessions(call)
        return answer
      },
    }),
  ]

  function endSessions({
    params: { name },
    principal,
  }: Pick<Call<{ name: string }, unknown, unknown>, 'params' | 'principal'>) {
    return sessions.endSome(name, () => true, principal)
  }

  /** @throws Problem conflict where nobody could administer any more */
  async function expectAdministrator(present: Account, next: Account | undefined): Promise<void> {
    const staysOne = next?.isAdministrator && !next.isDisabled
    if (!staysOne && (await isLastAdministrator(facts, present)))
      throw new Problem('conflict', `${present.name} is the only administrator: make another one first`)
  }
}

/** @throws Problem invalid */
export function expectPassword(plain: string, name: string): void {
  const objection = objectionToPassword(plain, name)
  if (objection) throw invalid('/password', objection)
}

/** @throws Problem conflict: a name that is taken again must not come with what another one pushed */
export async function expectEmpty({ facts }: Deps, namespace: string): Promise<void> {
  if (await facts.holds({ namespace }))
    throw new Problem(
      'conflict',
      `there are images in ${namespace}, in the trash too until that and their grace end: delete them first, or disable the account`,
    )
}

/** All that goes with an account. */
export function removalOf({ name, kind }: Account): AccountChange[] {
  return [
    { table: 'account', remove: { name } },
    { table: 'access_token', remove: { account: name } },
    { table: 'member', remove: { account: name } },
    { table: 'robot_trust', remove: { robot: name } },
    { table: 'role_grant', remove: { principal: `${kind === 'organization' ? 'org' : kind}:${name}` } },
    { table: 'role_grant', remove: { namespace: name } },
    { table: 'policy', remove: { namespace: name } },
  ]
}

/** The fields that were given. */
export function withoutAbsent<T extends Record<string, unknown>>(fields: T) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
