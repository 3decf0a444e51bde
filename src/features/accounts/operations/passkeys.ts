import { anyone, type Operation, operation, signedIn } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { object, text } from '../../../api/schema.ts'
import type { HttpRequest } from '../../../http/types.ts'
import type { Account } from '../../../metadata/account-facts.ts'
import type { Passkeys } from '../passkeys/passkeys.ts'
import type { Session } from '../sessions/sessions.ts'
import { type Deps, found, timeOf } from './deps.ts'

/** So long after a sign-in somebody may add a passkey: who finds an open session later shall not keep it for ever. */
const freshMs = 15 * 60_000

const base64url = (max: number) => text({ max, pattern: /^[\w-]*$/, form: 'expected base64url' })

type Shown = Awaited<ReturnType<Passkeys['list']>>[number]
const showPasskey = ({ id, label, credential, createdAt }: Shown) => ({
  ...{ id, name: label, credential },
  createdAt: timeOf(createdAt),
})

/** Passkeys of users, and signing in with one. */
export function passkeyOperations({ facts, clock, sessions, passkeys }: Deps): Operation[] {
  /** Whose session it is. @throws Problem forbidden, where passkeys are none of theirs */
  async function expectOwner(request: HttpRequest<unknown>): Promise<{ account: Account; session: Session }> {
    const session = await sessions.current(request)
    if (!session) throw new Problem('forbidden', 'passkeys belong to sessions: sign in by browser')
    const account = found(
      await facts.find('account', { name: session.user.name, kind: 'user' }),
      'account of this session',
    )
    // Who is gone there must not come in here.
    if (!account.password.startsWith('$'))
      throw new Problem(
        'forbidden',
        `${account.name} signs in elsewhere, or has no password: passkeys are for accounts from here`,
      )
    return { account, session }
  }

  async function expectFresh(request: HttpRequest<unknown>) {
    const owner = await expectOwner(request)
    if (clock.now().getTime() - owner.session.createdAt <= freshMs) return owner
    throw new Problem('forbidden', 'this needs a sign-in of the last 15 minutes: sign in again')
  }

  /** What is wrong with what the browser sent is a problem of its own. */
  async function soundly<T>(work: () => Promise<T>): Promise<T> {
    const { Unsound } = await import('../passkeys/webauthn.ts')
    return work().catch((error: unknown) => {
      throw error instanceof Unsound ? new Problem('invalid', error.message) : error
    })
  }

  return [
    operation({
      method: 'POST',
      path: '/session/passkey/begin',
      summary: 'Begin to sign in with a passkey: what `navigator.credentials.get` is given as `publicKey`',
      access: anyone,
      async handle({ request }) {
        const { asked, cookie } = (await passkeys()).beginSignIn(request.message)
        return { body: asked, headers: { 'Set-Cookie': cookie } }
      },
    }),

    operation({
      method: 'POST',
      path: '/session/passkey',
      summary: 'Sign in with a passkey; the session is a cookie',
      access: anyone,
      body: object(
        {
          credential: base64url(2000),
          clientDataJSON: base64url(4000),
          authenticatorData: base64url(4000),
          signature: base64url(2000),
        },
        { userHandle: base64url(100) },
      ),
      replies: { 204: 'Signed in.' },
      async handle({ request, body }) {
        const name = await (await passkeys()).signIn(body, request)
        return { headers: { 'Set-Cookie': await sessions.begin(name, 'passkey', request) } }
      },
    }),

    operation({
      method: 'GET',
      path: '/me/passkeys',
      summary: "List one's passkeys",
      access: signedIn,
      async handle({ request }) {
        const { account } = await expectOwner(request)
        return { body: { items: (await (await passkeys()).list(account)).map(showPasskey) } }
      },
    }),

    operation({
      method: 'POST',
      path: '/me/passkeys/begin',
      summary: 'Begin to add a passkey: what `navigator.credentials.create` is given as `publicKey`',
      access: signedIn,
      async handle({ request }) {
        const { account, session } = await expectFresh(request)
        return { body: await (await passkeys()).beginRegistration(account, session, request.message) }
      },
    }),

    operation({
      method: 'POST',
      path: '/me/passkeys',
      summary: 'Add the passkey that the browser has made',
      access: signedIn,
      body: object({
        name: text({ min: 1, max: 100, pattern: /^[^\p{Cc}]*$/u, form: 'expected one line of text' }),
        challenge: base64url(100),
        clientDataJSON: base64url(4000),
        attestationObject: base64url(20_000),
      }),
      replies: { 201: 'Added.' },
      async handle({ request, body }) {
        const { account, session } = await expectFresh(request)
        const made = await soundly(async () => (await passkeys()).register(account, session, body, request.message))
        return { status: 201, body: showPasskey(made) }
      },
    }),

    operation({
      method: 'DELETE',
      path: '/me/passkeys/:id',
      summary: 'Remove a passkey',
      access: signedIn,
      replies: { 204: 'Removed.' },
      async handle({ params, request }) {
        const { account, session } = await expectOwner(request)
        if (!(await (await passkeys()).remove(account, params.id, session.user.address)))
          throw new Problem('not-found', `there is no passkey ${params.id}`)
        return {}
      },
    }),
  ]
}
