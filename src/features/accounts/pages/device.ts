import type { HttpReply, HttpRequest } from '../../../http/types.ts'
import type { Devices } from '../device/device.ts'
import type { Session, Sessions } from '../sessions/sessions.ts'
import { readForm } from './form.ts'
import { goTo, html, page } from '../../html.ts'

interface Deps {
  sessions: Sessions
  devices: Devices
  /** What stands before our paths, without a slash at its end. */
  prefix: string
}

type Request = HttpRequest<unknown>

/** The page on which somebody who is signed in lets a device in by its code (RFC 8628 3.3). */
export function devicePages({ sessions, devices, prefix }: Deps) {
  const action = `${prefix}/device`

  function askForCode(status: number, problem?: string): HttpReply {
    const alert = problem === undefined ? [] : html`<p role="alert">${problem}</p>`
    const form = html`<form action="${action}">
      <label
        >Code that the device shows <input name="user_code" autocomplete="off" autocapitalize="characters" required
      /></label>
      <button>Go on</button>
    </form>`
    return page(status, 'Let a device in', html`${alert}${form}`)
  }

  function signInFirst(code: string): HttpReply {
    const path = code === '' ? '/device' : `/device?user_code=${encodeURIComponent(code)}`
    return goTo(`/sign-in?return=${encodeURIComponent(path)}`)
  }

  async function confirm(code: string, session: Session): Promise<HttpReply> {
    const found = await devices.find(code, session)
    if (!found) return askForCode(404, unknown)
    const { machine, address, startedAt, days } = found.device
    const ago = new Date(startedAt).toISOString().slice(11, 16)
    const field = (name: string, value: string) => html`<input type="hidden" name="${name}" value="${value}" />`
    return page(
      200,
      'Let a device in',
      html`<p>
          A device that calls itself <strong>${machine}</strong>, at the address ${address}, asked at ${ago} UTC to be
          signed in as <strong>${session.user.name}</strong>, for ${String(days)} days, with all that you may do.
        </p>
        <p>Go on only if you began this yourself just now, and if it shows <code>${code}</code>.</p>
        <form method="post" action="${action}">
          ${field('csrf', session.csrfToken)}${field('user_code', code)}
          <button name="answer" value="allow">Let it in</button>
          <button name="answer" value="refuse">Refuse</button>
        </form>`,
    )
  }

  return {
    async showDevice(request: Request): Promise<HttpReply> {
      const code = codeOf(request.query)
      const session = await sessions.find(request)
      if (!session) return signInFirst(code)
      return code === '' ? askForCode(200) : confirm(code, session)
    },

    async answerDevice(request: Request): Promise<HttpReply> {
      const sent = await readForm(request)
      const code = codeOf(sent)
      const session = await sessions.find(request)
      if (!session) return signInFirst(code)
      sessions.expectForm(session, request.message, sent.get('csrf'))
      const found = await devices.find(code, session)
      const isAllowed = sent.get('answer') === 'allow'
      if (!found || !(await devices.answer(found.id, found.device, session, isAllowed))) return askForCode(404, unknown)
      const told = isAllowed ? 'is signed in: go back to it.' : 'is refused.'
      return page(200, isAllowed ? 'Let in' : 'Refused', html`<p>${found.device.machine} ${told}</p>`)
    },
  }
}

/** A code as devices show it, whatever somebody typed. */
function codeOf(from: URLSearchParams): string {
  const typed = (from.get('user_code') ?? '')
    .slice(0, 40)
    .toUpperCase()
    .replaceAll(/[^A-Z]/g, '')
  return typed.length > 4 ? `${typed.slice(0, 4)}-${typed.slice(4)}` : typed
}

const unknown = 'There is no device of this code, or it has its answer, or the code has ended.'
