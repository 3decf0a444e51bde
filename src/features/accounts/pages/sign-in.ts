import type { IncomingMessage } from 'node:http'
import type { HttpReply, HttpRequest } from '../../../http/types.ts'
import { OciError } from '../../../oci/errors.ts'
import type { OpenId } from '../openid/index.ts'
import { expectOwnPage, localPath } from '../sessions/origin.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { SignIn } from '../sign-in.ts'
import { readForm } from './form.ts'
import { goTo, html, page } from '../../html.ts'

interface Deps {
  sessions: Sessions
  signIn: SignIn
  /** The provider, where one is configured. */
  openid: (() => Promise<OpenId>) | undefined
  /** What stands before our paths, without a slash at its end. */
  prefix: string
  baseOf(message: IncomingMessage): string
}

type Request = HttpRequest<unknown>

/** The pages on which people sign in and out, and those between here and a provider. */
export function signInPages({ sessions, signIn, openid, prefix, baseOf }: Deps) {
  const isProvided = openid !== undefined

  function form(status: number, returnTo: string, problem?: string): HttpReply {
    const query = `?return=${encodeURIComponent(returnTo)}`
    const alert = problem === undefined ? [] : html`<p role="alert">${problem}</p>`
    const provider = isProvided
      ? html`<p><a href="${`${prefix}/oidc/login${query}`}">Sign in with single sign-on</a></p>`
      : []
    const fields = html`<form method="post" action="${`${prefix}/sign-in`}">
      <input type="hidden" name="return" value="${returnTo}" />
      <label>User name <input name="name" autocomplete="username" required /></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
      <button>Sign in</button>
    </form>`
    return page(status, 'Sign in', html`${alert}${provider}${fields}`)
  }

  return {
    async show(request: Request): Promise<HttpReply> {
      const session = await sessions.find(request)
      if (!session) return form(200, localPath(request.query.get('return')))
      const others = (await sessions.list(session.user.name)).filter(({ id }) => id !== session.id)
      const elsewhere = html`<p>You are signed in in other browsers as well:</p>
        <ul>
          ${others.map(({ createdAt, address, agent }) => html`<li>${describe(createdAt, address, agent)}</li>`)}
        </ul>
        <p><button name="where" value="elsewhere">Sign out there</button></p>`
      const end = html`<form method="post" action="${`${prefix}/sign-out`}">
        <input type="hidden" name="csrf" value="${session.csrfToken}" /><button>Sign out</button>
        ${others.length > 0 ? elsewhere : []}
      </form>`
      return page(
        200,
        'Signed in',
        html`<p>You are signed in as <strong>${session.user.name}</strong>.</p>
          ${end}`,
      )
    },

    async send(request: Request): Promise<HttpReply> {
      expectOwnPage(request.message, baseOf)
      const sent = await readForm(request)
      const returnTo = localPath(sent.get('return'))
      try {
        const name = await signIn.inPerson(
          { name: sent.get('name') ?? '', password: sent.get('password') ?? '' },
          request,
        )
        const cookie = await sessions.begin(name, 'password', request)
        return goTo(returnTo === '/' ? '/sign-in' : returnTo, { 'Set-Cookie': cookie })
      } catch (error) {
        if (error instanceof OciError && [401, 429].includes(error.status))
          return form(error.status, returnTo, `${error.message[0]!.toUpperCase()}${error.message.slice(1)}.`)
        throw error
      }
    },

    async signOut(request: Request): Promise<HttpReply> {
      const sent = await readForm(request)
      const session = await sessions.find(request)
      if (!session) return goTo('/sign-in')
      sessions.expectForm(session, request.message, sent.get('csrf'))
      if (sent.get('where') === 'elsewhere') {
        await sessions.endSome(session.user.name, ({ id }) => id !== session.id, session.user)
        return goTo('/sign-in')
      }
      const cookie = { 'Set-Cookie': await sessions.end(session, request.message) }
      const url = session.by === 'openid' ? await (await openid?.())?.logoutUrl(request.message) : undefined
      if (url === undefined) return goTo('/sign-in', cookie)
      const link = html`<p>You are still signed in at the provider. <a href="${url}">Sign out there too</a></p>`
      return page(200, 'Signed out', link, cookie)
    },

    async toProvider(request: Request): Promise<HttpReply> {
      if (!openid) throw new OciError('UNSUPPORTED', { message: 'no provider is configured here', status: 404 })
      const { location, cookie } = await (await openid()).begin(request, localPath(request.query.get('return')))
      return goTo(location, { 'Set-Cookie': cookie })
    },

    async fromProvider(request: Request): Promise<HttpReply> {
      if (!openid) throw new OciError('UNSUPPORTED', { message: 'no provider is configured here', status: 404 })
      const { name, returnTo } = await (await openid()).finish(request)
      const cookie = await sessions.begin(name, 'openid', request)
      return goTo(returnTo === '/' ? '/sign-in' : returnTo, { 'Set-Cookie': cookie })
    },
  }
}

function describe(createdAt: number, address: string, agent: string): string {
  const moment = new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ')
  return `since ${moment} UTC, from ${address}: ${agent === '' ? 'a browser without a name' : agent}`
}

/** What a browser is shown of an error. */
export function problemPage(error: OciError): HttpReply {
  const { 'WWW-Authenticate': _, ...headers } = error.headers
  return page(error.status, 'That did not work', html`<p role="alert">${error.message}</p>`, headers)
}
