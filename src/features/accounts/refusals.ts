import { readBasic } from '../../auth/basic.ts'
import { notedOf } from '../../auth/refused.ts'
import { requestIdOf } from '../../auth/request-id.ts'
import type { Access, Principal } from '../../auth/types.ts'
import { type HttpRequest, type Route } from '../../http/types.ts'
import type { Decision } from '../../identity/decide.ts'
import type { AccountFacts, Refusal } from '../../metadata/account-facts.ts'
import type { Log } from '../../platform/log.ts'
import type { Audit } from './audit.ts'

/** What is noted waits so long for more, and at most so much of it. */
const [waitMs, maxWaiting] = [1000, 1000]

/** Why a request was refused, as it is kept. */
export interface Refused {
  status: number
  /** What the client was told. */
  message: string
  method: string
  path: string
  /** Who asked, as far as that was proven. */
  kind: Principal['kind']
  name: string
  /** The name that came with credentials nobody took. */
  claimed: string
  address: string
  access?: Access
  isHidden: boolean
  rule: string
  fix: string
}

/** What is known of a refusal where it happens. */
export interface Noted {
  route: Route
  request: HttpRequest
  status: number
  message: string
}

interface Deps {
  facts: AccountFacts
  audit: Audit
  judge(principal: Principal, access: Access): Promise<Decision>
  log: Log
  clock: { now(): Date }
}

export type Refusals = ReturnType<typeof createRefusals>

/** Finds out why requests were refused, after they were answered, and keeps it for who asks: many at a time, and so many at most. */
export function createRefusals({ facts, audit, judge, log, clock }: Deps) {
  let waiting: Refusal[] = []
  let timer: NodeJS.Timeout | undefined
  const working = new Set<Promise<void>>()

  async function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const refusals = waiting
    waiting = []
    if (refusals.length === 0) return
    await facts.refusals
      .record(refusals)
      .catch((error: unknown) => log.error('refusals.failed', { refusals: refusals.length, error: String(error) }))
  }

  async function keep(noted: Noted): Promise<void> {
    const { request } = noted
    const refused = await explain(noted)
    if (!refused) return
    const { name, address, access } = refused
    const id = requestIdOf(request.headers)
    if (access && name !== '') {
      const target = `${access.type}:${access.name}:${access.action}`
      const detail = { requestId: id }
      audit.note({ action: 'access.denied', actor: name, address, target, detail }, `${name} ${target}`)
    }
    if (waiting.length >= maxWaiting) return
    waiting.push({ id, at: clock.now().getTime(), body: JSON.stringify(refused) })
    timer ??= setTimeout(() => track(write()), waitMs).unref()
  }

  /** Undefined where it was no refusal: something is just not there. */
  async function explain({ route, request, status, message }: Noted): Promise<Refused | undefined> {
    const { principal, headers, method } = request
    const { kind, address } = principal
    const base = {
      ...{ status, message: message.slice(0, 500), method, path: request.path.slice(0, 500), kind, address },
      name: principal.kind === 'anonymous' ? '' : principal.name.slice(0, 300),
      claimed: kind === 'anonymous' ? claimedBy(request).slice(0, 300) : '',
    }
    if (status === 429) return { ...base, isHidden: false, rule: message, fix: 'wait as long as Retry-After says' }
    if (kind === 'anonymous' && headers.authorization !== undefined && status === 401)
      return { ...base, isHidden: false, rule: `the credentials are not good: ${message}`, fix: signInAgain }
    const { access: lacking } = notedOf(request)
    for (const access of lacking ? [lacking] : route.access(request)) {
      const { verdict, rule, fix = '' } = await judge(principal, access)
      if (verdict !== 'allowed') return { ...base, access, isHidden: verdict === 'hidden', rule, fix }
      if (status === 401)
        return { ...base, access, isHidden: false, rule: 'the bearer token is not for this', fix: signInAgain }
    }
    if (status === 404) return undefined
    return {
      ...base,
      isHidden: false,
      rule: message,
      fix: status === 401 ? signInAgain : 'ask an owner or an administrator',
    }
  }

  function track(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => log.error('refusals.failed', { error: String(error) }))
      .finally(() => working.delete(done))
    working.add(done)
  }

  return {
    note: (noted: Noted) => track(keep(noted)),
    /** Writes what is noted. */
    async flush(): Promise<void> {
      await Promise.all(working)
      await write()
    },
  }
}

/** The name that came with credentials: in the header, or in a form. */
function claimedBy(request: HttpRequest): string {
  return readBasic(request.headers.authorization)?.name ?? notedOf(request).claimed ?? ''
}

const signInAgain = 'sign in again: holdfast login HOST, or docker login HOST'
