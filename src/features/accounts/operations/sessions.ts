import { anyone, type Call, type Operation, operation } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { object, text } from '../../../api/schema.ts'
import type { HttpRequest } from '../../../http/types.ts'
import { includesScope } from '../../../identity/roles.ts'
import type { AccessToken } from '../../../metadata/account-facts.ts'
import type { ListedSession, Session } from '../sessions/sessions.ts'
import { type Deps, found, timeOf } from './deps.ts'
import { selfOrAdministrator } from './users.ts'

const showSession = ({ id, by, createdAt, endsAt, address, agent }: ListedSession, current: Session | undefined) => ({
  id: shown(id),
  by,
  createdAt: timeOf(createdAt),
  endsAt: timeOf(endsAt),
  address,
  agent,
  isCurrent: id === current?.id,
})

/** As much of an id as tells the sessions of one user apart. */
const shown = (id: string) => id.slice(0, 16)

/** Whoever has one for a job of CI has nothing to do with the browsers of its owner. */
const isForAll = (token: AccessToken | undefined) =>
  token?.repositories.length === 0 && ['repo:admin', 'org:admin'].every((scope) => includesScope(token.scopes, scope))

/** A browser's sign-in, what it is, and its end; and those of all browsers. */
export function browserOperations({ facts, directory, sessions, signIn }: Deps): Operation[] {
  async function expectSession(request: HttpRequest<unknown>): Promise<Session> {
    const session = await sessions.current(request)
    if (session) return session
    throw new Problem('unauthorized', 'there is no session: sign in')
  }

  /** The user of the path, and the caller's own session. @throws Problem forbidden to an access token for less than all that its owner may do */
  async function about({
    params: { name },
    principal,
    request,
  }: Pick<Call<{ name: string }, unknown, unknown>, 'params' | 'principal' | 'request'>) {
    const id = principal.kind === 'anonymous' ? undefined : principal.token
    if (id !== undefined && !isForAll(await directory.restrictionOf(id)))
      throw new Problem('forbidden', 'this needs an access token with repo:admin and org:admin, for all repositories')
    found(await facts.find('account', { name, kind: 'user' }), `user ${name}`)
    return { name, current: await sessions.current(request) }
  }

  return [
    operation({
      method: 'POST',
      path: '/session',
      summary: 'Sign in with a password; the session is a cookie',
      access: anyone,
      body: object({ name: text({ max: 100 }), password: text({ max: 1000 }) }),
      replies: { 204: 'Signed in.' },
      async handle({ request, body }) {
        const name = await signIn.inPerson(body, request)
        return { headers: { 'Set-Cookie': await sessions.begin(name, 'password', request) } }
      },
    }),

    operation({
      method: 'GET',
      path: '/session',
      summary: 'Whose session this is, and the token that changes need as X-CSRF-Token',
      access: anyone,
      async handle({ request }) {
        const { user, by, createdAt, endsAt, csrfToken } = await expectSession(request)
        return { body: { name: user.name, by, createdAt: timeOf(createdAt), endsAt: timeOf(endsAt), csrfToken } }
      },
    }),

    operation({
      method: 'DELETE',
      path: '/session',
      summary: 'Sign out',
      access: anyone,
      replies: { 204: 'Signed out.' },
      handle: async ({ request }) => ({
        headers: { 'Set-Cookie': await sessions.end(await expectSession(request), request.message) },
      }),
    }),

    operation({
      method: 'GET',
      path: '/users/:name/sessions',
      summary: 'List the browsers in which somebody is signed in',
      access: selfOrAdministrator,
      async handle(call) {
        const { name, current } = await about(call)
        return { body: { items: (await sessions.list(name)).map((session) => showSession(session, current)) } }
      },
    }),

    operation({
      method: 'DELETE',
      path: '/users/:name/sessions',
      summary: 'Sign somebody out in all browsers but the one that asks',
      access: selfOrAdministrator,
      replies: { 204: 'Signed out.' },
      async handle(call) {
        const { name, current } = await about(call)
        await sessions.endSome(name, ({ id }) => id !== current?.id, call.principal)
        return {}
      },
    }),

    operation({
      method: 'DELETE',
      path: '/users/:name/sessions/:id',
      summary: 'Sign somebody out in one browser',
      access: selfOrAdministrator,
      replies: { 204: 'Signed out.' },
      async handle(call) {
        const { name } = await about(call)
        const { id: wanted } = call.params
        if ((await sessions.endSome(name, ({ id }) => shown(id) === wanted, call.principal)) === 0)
          throw new Problem('not-found', `${name} has no session ${wanted}`)
        return {}
      },
    }),
  ]
}
