import type { IncomingMessage } from 'node:http'
import type { AccessControl } from '../../../auth/control.ts'
import { type HttpReply, type HttpRequest, reply } from '../../../http/types.ts'
import { readForm } from '../pages/form.ts'
import type { Devices } from './device.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

interface Deps {
  devices: Devices
  access(): AccessControl | undefined
  baseOf(message: IncomingMessage): string
  /** Whether there is anybody who could let a device in. */
  isAnybodyThere(): Promise<boolean>
}

/** Where devices ask (RFC 8628 3.1, 3.4). */
export function deviceEndpoint({ devices, access, baseOf, isAnybodyThere }: Deps) {
  return {
    /** What a device is called is its own word: people are shown it as such. */
    async begin(request: HttpRequest<unknown>): Promise<HttpReply> {
      const form = await readForm(request)
      const machine = form.get('device_name')?.trim() || 'a device without a name'
      const days = form.get('expires_in_days') ?? '90'
      if (machine.length > 80 || /\p{Cc}|\p{Cf}/u.test(machine))
        return problem('invalid_request', 'device_name: expected at most 80 letters of one line')
      if (!/^\d{1,3}$/.test(days) || Number(days) < 1 || Number(days) > 365)
        return problem('invalid_request', 'expires_in_days: expected 1 to 365')
      if (!(await isAnybodyThere())) return problem('access_denied', 'nobody has an account here yet')
      const { address } = request.principal
      const { secret, userCode, seconds, intervalSeconds } = await devices.begin(machine, Number(days), address)
      const where = `${baseOf(request.message)}/device`
      return json(200, {
        device_code: secret,
        user_code: userCode,
        verification_uri: where,
        verification_uri_complete: `${where}?user_code=${userCode}`,
        expires_in: seconds,
        interval: intervalSeconds,
      })
    },

    /** The token endpoint where the token service, which has this grant as well, is off. */
    async token(request: HttpRequest<unknown>): Promise<HttpReply> {
      const form = await readForm(request)
      if (form.get('grant_type') !== deviceGrant)
        return problem('unsupported_grant_type', `expected grant_type ${deviceGrant}; the token service is off`)
      const found = await access()!.redeem(form.get('device_code') ?? '')
      if ('error' in found) return problem(found.error, 'see RFC 8628 3.5')
      return json(200, { access_token: found.token, token_type: 'Bearer' })
    },
  }
}

function json(status: number, body: Record<string, unknown>): HttpReply {
  return reply(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }, JSON.stringify(body))
}

const problem = (error: string, text: string) => json(400, { error, error_description: text })
