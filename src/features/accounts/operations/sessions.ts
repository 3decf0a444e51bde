import { anyone, type Operation, operation } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { object, text } from '../../../api/schema.ts'
import type { HttpRequest } from '../../../http/types.ts'
import type { Session } from '../sessions/sessions.ts'
import { type Deps, timeOf } from './deps.ts'

/** A browser's sign-in, what it is, and its end. */
export function browserOperations({ sessions, signIn }: Deps): Operation[] {
  async function expectSession(request: HttpRequest<unknown>): Promise<Session> {
    const session = request.headers.authorization === undefined ? await sessions.find(request) : undefined
    if (session) return session
    throw new Problem('unauthorized', 'there is no session: sign in')
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
  ]
}
