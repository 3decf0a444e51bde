import { requestIdOf } from '../auth/request-id.ts'
import type { HttpRequest, HttpReply, Route } from '../http/types.ts'
import type { OciError } from '../oci/errors.ts'
import type { ApiOptions } from './dispatch.ts'

export interface LazyApiOptions extends Omit<ApiOptions, 'operations'> {
  /** Loads the operations; asked with the first request. */
  load(): Promise<ApiOptions['operations']>
}

/**
 * The route of the management API: everything below `/api/v1`. It is loaded with the first request. Cookies are no credentials
 * here, so no page of another site can make a browser act for its user.
 */
export function apiRoute({ load, ...options }: LazyApiOptions): Route {
  let handle: Promise<(request: HttpRequest<unknown>) => Promise<HttpReply>> | undefined

  async function start() {
    const [{ createDispatch }, operations] = await Promise.all([import('./dispatch.ts'), load()])
    return createDispatch({ ...options, operations })
  }

  return {
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    pattern: '/api/v1/:rest+',
    access: () => [], // each operation says what it needs; `dispatch.ts` asks
    handle: async (request) => (await (handle ??= start()))(request),
    async refuse(error: OciError, request) {
      const { problemOf, problemReply } = await import('./problem.ts')
      return problemReply(problemOf(error), requestIdOf(request.headers))
    },
  }
}
