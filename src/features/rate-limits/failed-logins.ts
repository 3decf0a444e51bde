import { isEmptyBasic, readBasic } from '../../auth/basic.ts'
import { replyOf } from '../../http/server.ts'
import type { Gate, HttpRequest, Route } from '../../http/types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Counters } from '../../platform/counters.ts'
import type { Usage } from '../../platform/windows.ts'
import { sourceOf } from './pulls.ts'

interface Deps {
  limit: number
  windowMs: number
  counters: Pick<Counters, 'look' | 'add'>
  log: Log
}

/**
 * Lets an address wait that came with too many wrong passwords, wherever it tried them. Some clients try each twice. Bearers of tokens go on,
 * also from there.
 */
export function createFailedLogins({ limit, windowMs, counters, log }: Deps): {
  gate: Gate
  wrap(route: Route): Route
} {
  const nameOf = ({ principal: { address } }: HttpRequest) => sourceOf({ kind: 'anonymous', address })
  const windowOf = (request: HttpRequest) => ({ name: `failed ${nameOf(request)}`, limit, windowMs })

  async function count(request: HttpRequest): Promise<void> {
    const { remaining } = await counters.add(windowOf(request))
    if (remaining === 0) log.warn('logins.limited', { address: nameOf(request), failed: limit })
  }

  return {
    gate: (request) => (signsIn(request) ? expectFew(request) : undefined),
    // Counted before the answer: whoever has it may try again at once.
    wrap: (route) => ({
      ...route,
      // A token service answers refusals by itself.
      ...(route.pattern.endsWith('/token') && {
        async handle(request: HttpRequest) {
          const answer = await route.handle(request)
          if (answer.status === 401 && signsIn(request)) await count(request)
          return answer
        },
      }),
      async refuse(error, request) {
        if (error.status === 401 && signsIn(request)) await count(request)
        return (await route.refuse?.(error, request)) ?? replyOf(error)
      },
    }),
  }

  async function expectFew(request: HttpRequest): Promise<void> {
    const [{ remaining, resetSeconds }] = (await counters.look([windowOf(request)])) as [Usage]
    if (remaining > 0) return
    throw new OciError('TOOMANYREQUESTS', {
      message: `too many wrong passwords from this address: try again in ${Math.ceil(resetSeconds / 60)} minutes`,
      headers: { 'Retry-After': String(resetSeconds) },
    })
  }
}

/** Whether the request brings a password: in its header, or in a form. */
function signsIn({ method, path, headers: { authorization } }: HttpRequest): boolean {
  if (authorization !== undefined) return !isEmptyBasic(authorization) && readBasic(authorization) !== undefined
  return method === 'POST' && path.endsWith('/token')
}
