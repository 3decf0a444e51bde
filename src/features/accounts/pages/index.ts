import { type HttpReply, type HttpRequest, type Route, route } from '../../../http/types.ts'
import type { deviceEndpoint } from '../device/endpoint.ts'
import type { devicePages } from './device.ts'
import type { problemPage, signInPages } from './sign-in.ts'

/** What the pages are made of, once somebody asks for one. */
export type Pages = ReturnType<typeof signInPages> &
  ReturnType<typeof devicePages> & { problemPage: typeof problemPage; endpoint: ReturnType<typeof deviceEndpoint> }

/**
 * The pages' routes, and where devices ask; what is behind them is loaded with the first request. `/oauth2/token` is here where there is no
 * token service.
 */
export function pageRoutes(load: () => Promise<Pages>, hasTokens: boolean): Route[] {
  const open = () => [] // who has no session is asked to sign in
  type Handler = (request: HttpRequest<unknown>) => Promise<HttpReply>

  function at(methods: string, path: string, handler: (pages: Pages) => Handler): Route {
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
    at('GET HEAD', '/device', ({ showDevice }) => showDevice),
    at('POST', '/device', ({ answerDevice }) => answerDevice),
    route('POST', '/device_authorization', open, async (request) => (await load()).endpoint.begin(request)),
    ...(hasTokens
      ? []
      : [route('POST', '/oauth2/token', open, async (request) => (await load()).endpoint.token(request))]),
  ]
}
