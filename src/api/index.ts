import type { Principal } from '../auth/types.ts'
import type { HttpRequest, HttpReply, Route } from '../http/types.ts'
import type { OciError } from '../oci/errors.ts'
import type { ApiOptions } from './dispatch.ts'

export interface LazyApiOptions extends Omit<ApiOptions, 'operations'> {
  /** Loads the operations; asked with the first request. */
  load(): Promise<ApiOptions['operations']>
  /** Whose session a browser's request is of. @throws OciError DENIED where a page of another site had it sent */
  session: ((request: HttpRequest<unknown>) => Promise<Principal | undefined>) | undefined
}

/** A path has some of these; which, only the operations know. */
export const anyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'QUERY']

/**
 * The route of the management API: everything below `/api/v1`. It is loaded with the first request. Who sends no `Authorization`
 * is whose session the request is of, and nobody else.
 */
export function apiRoute({ load, session, ...options }: LazyApiOptions): Route {
  let handle: Promise<(request: HttpRequest<unknown>) => Promise<HttpReply>> | undefined

  async function start() {
    const [{ createDispatch }, operations] = await Promise.all([import('./dispatch.ts'), load()])
    return createDispatch({ ...options, operations })
  }

  return {
    methods: anyMethod,
    pattern: '/api/v1/:rest+',
    access: () => [], // each operation says what it needs; `dispatch.ts` asks
    async handle(request) {
      const found = await session?.(request)
      if (request.headers.authorization === undefined)
        request.principal = found ?? { kind: 'anonymous', address: request.principal.address }
      return (await (handle ??= start()))(request)
    },
    async refuse(error: OciError, request) {
      const { problemOf, problemReply } = await import('./problem.ts')
      return problemReply(problemOf(error), request.headers)
    },
  }
}
