import { type HttpReply, type HttpRequest, type Route, route } from '../../../http/types.ts'
import type { problemPage, signInPages } from './sign-in.ts'

/** What the pages are made of, once somebody asks for one. */
export type Pages = ReturnType<typeof signInPages> & { problemPage: typeof problemPage }

/** The pages' routes; what is behind them is loaded with the first request. */
export function pageRoutes(load: () => Promise<Pages>): Route[] {
  type Handler = (request: HttpRequest<unknown>) => Promise<HttpReply>

  function at(methods: string, path: string, handler: (pages: Pages) => Handler): Route {
    const open = () => [] // who has no session is asked to sign in
    return {
      ...route(methods, path, open, async (request) => handler(await load())(request)),
      refuse: async (error) => (await load()).problemPage(error),
    }
  }

  return [
    at('GET HEAD', '/sign-in', ({ show }) => show),
    at('POST', '/sign-in', ({ send }) => send),
    at('POST', '/sign-out', ({ signOut }) => signOut),
    at('GET', '/oidc/login', ({ toProvider }) => toProvider),
    at('GET', '/oidc/callback', ({ fromProvider }) => fromProvider),
  ]
}
