import { hash, randomBytes, randomInt } from 'node:crypto'
import type { Authenticator, Redeemed } from '../../../auth/types.ts'
import type { Vault } from '../../../auth/vault.ts'
import type { Throttle } from '../../throttle.ts'
import type { Counters } from '../../../platform/counters.ts'
import type { Account, AccountFacts } from '../../../metadata/account-facts.ts'
import { OciError } from '../../../oci/errors.ts'
import type { Audit } from '../audit.ts'
import type { Session } from '../sessions/sessions.ts'

/** How long a code is good, and how often a device may ask what became of it. */
const [lifeMs, intervalMs] = [10 * 60_000, 5000]
/** So many may begin from an address within the life of a code. */
const maxBegun = 30
// No vowels, so no words; nothing that looks like something else (RFC 8628 6.1). Eight of twenty letters are 34 bits.
const letters = 'BCDFGHJKLMNPQRSTVWXZ'

const kinds = {
  device: 'device',
  code: 'device-code',
  answer: 'device-answer',
  poll: 'device-poll',
  used: 'device-used',
}

/** A device that wants to be signed in, as it says itself. */
export interface Device {
  machine: string
  address: string
  startedAt: number
  /** How long its access token shall be good. */
  days: number
}

interface Answered {
  /** Empty: nobody; the answer was no. */
  name: string
  standing: string
}

interface Deps {
  facts: AccountFacts
  vault: Vault
  audit: Audit
  throttle: Throttle
  counters: Pick<Counters, 'take'>
  clock: { now(): Date }
  standing: NonNullable<Authenticator['standing']>
  /** Makes the access token of a device for who let it in; gives the secret. */
  makeToken(account: Account, device: Device): Promise<string>
}

export type Devices = ReturnType<typeof createDevices>

/**
 * Devices that are signed in by somebody with a browser elsewhere (RFC 8628). What is known of one lies where all nodes find it, in
 * entries that are added once each: the device, its code, the answer, each time it asks, and that it has had its token.
 */
export function createDevices({ facts, vault, audit, throttle, counters, clock, standing, makeToken }: Deps) {
  const now = () => clock.now().getTime()

  async function standingOf(name: string): Promise<string> {
    const text = await standing({ kind: 'user', name, address: '' })
    return text === undefined ? '' : hash('sha256', text, 'base64')
  }

  /** A code that nobody has. */
  async function addCode(device: string, endsAt: Date): Promise<string> {
    for (;;) {
      const code = Array.from({ length: 8 }, () => letters[randomInt(letters.length)]).join('')
      if (await vault.add(kinds.code, idOf(code), { text: device, endsAt })) return code
    }
  }

  return {
    /** Begins; the codes are told once. @throws OciError TOOMANYREQUESTS */
    async begin(machine: string, days: number, address: string) {
      const window = { name: `devices ${address}`, limit: maxBegun, windowMs: lifeMs }
      const { isTaken, usages } = await counters.take([window])
      if (!isTaken)
        throw new OciError('TOOMANYREQUESTS', {
          message: 'too many devices want to sign in from this address: try again later',
          headers: { 'Retry-After': String(usages[0]!.resetSeconds) },
        })
      const secret = randomBytes(32).toString('base64url')
      const endsAt = new Date(now() + lifeMs)
      const device: Device = { machine, address, startedAt: now(), days }
      await vault.add(kinds.device, idOf(secret), { text: JSON.stringify(device), endsAt })
      const code = await addCode(idOf(secret), endsAt)
      const userCode = `${code.slice(0, 4)}-${code.slice(4)}`
      return { secret, userCode, seconds: lifeMs / 1000, intervalSeconds: intervalMs / 1000 }
    },

    /**
     * The device of a code that somebody who is signed in has typed; undefined when there is none, or when it has its answer.
     * @throws OciError TOOMANYREQUESTS who tries codes
     */
    async find(typed: string, { user }: Session): Promise<{ id: string; device: Device } | undefined> {
      const code = typed.toUpperCase().replaceAll(/[^A-Z]/g, '')
      let id: string | undefined
      await throttle.attempt(`device ${user.name}`, user.address, async () => {
        id = (await vault.get(kinds.code, idOf(code)))?.text
        return id !== undefined
      })
      const entry = id === undefined ? undefined : await vault.get(kinds.device, id)
      if (id === undefined || !entry || (await vault.get(kinds.answer, id))) return undefined
      return { id, device: JSON.parse(entry.text) as Device }
    },

    /** Lets a device in as the user, or not. Of two answers the first counts. */
    async answer(
      id: string,
      { machine, address }: Device,
      { user, by }: Session,
      isAllowed: boolean,
    ): Promise<boolean> {
      const { name } = user
      const answered: Answered = isAllowed ? { name, standing: await standingOf(name) } : { name: '', standing: '' }
      const endsAt = new Date(now() + lifeMs)
      if (!(await vault.add(kinds.answer, id, { text: JSON.stringify(answered), endsAt }))) return false
      const detail = { by, from: address }
      const action = isAllowed ? 'device.allowed' : 'device.refused'
      audit.note({ action, actor: name, address: user.address, target: machine, detail })
      return true
    },

    /** What became of a device (RFC 8628 3.5); undefined when there is none of this secret. */
    async redeem(secret: string): Promise<Redeemed | undefined> {
      if (!/^[\w-]{43}$/.test(secret)) return undefined
      const id = idOf(secret)
      const entry = await vault.get(kinds.device, id)
      if (!entry) return undefined
      const slot = Math.floor(now() / intervalMs)
      const isFirst = await vault.add(kinds.poll, `${id} ${slot}`, {
        text: '',
        endsAt: new Date(now() + 2 * intervalMs),
      })
      if (!isFirst) return { error: 'slow_down' }
      const answer = await vault.get(kinds.answer, id)
      if (!answer) return { error: 'authorization_pending' }
      const { name, standing: before } = JSON.parse(answer.text) as Answered
      const account = name === '' ? undefined : await facts.find('account', { name, kind: 'user' })
      if (!account || before === '' || (await standingOf(name)) !== before) return { error: 'access_denied' }
      // Only once, whatever happens then: a device that did not get its token begins again.
      const isOwn = await vault.add(kinds.used, id, { text: '', endsAt: new Date(now() + lifeMs) })
      if (!isOwn) return { error: 'invalid_grant' }
      await vault.delete(kinds.device, id)
      return { token: await makeToken(account, JSON.parse(entry.text) as Device) }
    },
  }
}

const idOf = (secret: string) => hash('sha256', secret, 'hex')
