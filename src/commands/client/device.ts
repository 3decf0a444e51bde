import { hostname } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { failure, unreachable } from './failure.ts'
import { tell } from './output.ts'

interface Begun {
  device_code: string
  user_code: string
  verification_uri: string
  expires_in: number
  interval: number
}

interface Refusal {
  error?: string
  error_description?: string
}

const timeoutMs = 30_000

/**
 * Signs this machine in by somebody's browser (RFC 8628) and gives the access token; undefined where the registry does not know how.
 * @throws Error with the exit code for what went wrong
 */
export async function signInByBrowser(url: string, days: string): Promise<string | undefined> {
  const asked = { client_id: 'holdfast', device_name: nameOfMachine(), expires_in_days: days }
  const reply = await post(`${url}/device_authorization`, asked)
  if (reply.status === 404 || reply.status === 405) return undefined
  const begun = (await reply.json().catch(() => ({}))) as Begun & Refusal
  if (!reply.ok || !begun.device_code)
    throw failure(
      reply.status === 429 ? 'limited' : 'failed',
      begun.error_description ?? `no answer of a Holdfast (${reply.status})`,
    )
  tell(`Open ${plain(begun.verification_uri)} in a browser and type the code\n\n    ${plain(begun.user_code)}\n`)
  return poll(url, begun)
}

async function poll(url: string, { device_code, expires_in, interval }: Begun): Promise<string> {
  let seconds = Math.max(1, interval || 5)
  for (const end = Date.now() + expires_in * 1000; Date.now() < end;) {
    await setTimeout(seconds * 1000)
    const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code, client_id: 'holdfast' }
    const reply = await post(`${url}/oauth2/token`, grant).catch(() => undefined)
    if (!reply) continue // it may be back in time
    const answer = (await reply.json().catch(() => ({}))) as { access_token?: string } & Refusal
    if (reply.ok && answer.access_token) return answer.access_token
    if (answer.error === 'slow_down') seconds += 5
    else if (reply.status < 500 && answer.error !== 'authorization_pending')
      throw failure('forbidden', answer.error_description ?? `not signed in (${reply.status})`)
  }
  throw failure('failed', 'nobody typed the code in time: begin again')
}

async function post(address: string, form: Record<string, string>): Promise<Response> {
  try {
    const body = new URLSearchParams(form)
    return await fetch(address, { method: 'POST', body, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    throw unreachable(address, error)
  }
}

const nameOfMachine = () =>
  hostname()
    .replaceAll(/[^\x21-\x7e]/g, '?')
    .slice(0, 80)
/** What a registry says must not steer the terminal. */
const plain = (text: unknown) => String(text).replaceAll(/\p{Cc}/gu, '?')
