import { notedOf } from '../../auth/refused.ts'
import { requestIdOf } from '../../auth/request-id.ts'
import { replyOf } from '../../http/server.ts'
import type { HttpReply, HttpRequest, Route } from '../../http/types.ts'
import type { Noted } from './refusals.ts'

/**
 * Lets every refusal of an endpoint carry the id of its request, and tells of it. Who is not refused pays nothing: only endpoints that
 * answer refusals by themselves are looked at afterwards.
 */
export function tellingRefusals(route: Route, note: (noted: Noted) => void): Route {
  const own = { '/api/v1/:rest+': true, '/token': true, '/auth/token': true, '/oauth2/token': true }
  const tell = (request: HttpRequest, status: number, message: string) => note({ route, request, status, message })

  return {
    ...route,
    ...(Object.hasOwn(own, route.pattern) && {
      async handle(request: HttpRequest) {
        const answer = await route.handle(request)
        const isHidden = answer.status === 404 && notedOf(request).access !== undefined
        if (!isRefusal(answer.status) && !isHidden) return answer
        tell(request, answer.status, messageOf(answer))
        return withId(answer, request)
      },
    }),
    async refuse(error, request) {
      const answer = (await route.refuse?.(error, request)) ?? replyOf(error)
      // What one may not read looks like what is not there, and both alike.
      const mayBeHidden = error.code === 'NAME_UNKNOWN'
      if (!isRefusal(error.status) && !mayBeHidden) return answer
      // Every client asks so first, to learn how to sign in.
      const isFirst = route.pattern === '/v2/' && request.headers.authorization === undefined && error.status === 401
      if (!isFirst) tell(request, error.status, error.message)
      return withId(answer, request)
    },
  }
}

const isRefusal = (status: number) => status === 401 || status === 403 || status === 429

function withId(answer: HttpReply, { headers }: HttpRequest): HttpReply {
  if (answer.headers.includes('X-Request-Id')) return answer
  return { ...answer, headers: [...answer.headers, 'X-Request-Id', requestIdOf(headers)] }
}

/** What an answer says of an error: that of a problem (RFC 9457) or of OAuth. */
function messageOf({ body }: HttpReply): string {
  if (typeof body !== 'string') return ''
  const { detail, error_description: description } = JSON.parse(Buffer.from(body, 'latin1').toString()) as Record<
    string,
    unknown
  >
  return String(detail ?? description ?? '')
}
