import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Basic, readBasic } from '../../auth/basic.ts'
import { requestIdOf } from '../../auth/request-id.ts'
import type { Authenticator } from '../../auth/types.ts'
import { createRemembered } from '../../identity/remembered.ts'
import type { HtpasswdConfiguration } from '../../config/configuration.ts'
import { OciError } from '../../oci/errors.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createThrottle } from '../throttle.ts'
import { createBcrypt } from './bcrypt.ts'
import { createUsers } from './users.ts'

/**
 * registry:2's `auth.htpasswd`: whoever is in the file may do everything, nobody else anything (`features/accounts` decides). A
 * password is compared once and then remembered for some minutes, until the file changes.
 */
export function htpasswd(
  { log, clock }: Platform,
  { counters }: Serving,
  { realm, path }: HtpasswdConfiguration,
): Feature {
  const challenge = `Basic realm="${realm.replaceAll(/[\\"]/g, String.raw`\$&`)}"`
  const bcrypt = createBcrypt()
  const users = createUsers({ path, log, clock, hash: bcrypt.hash })
  const remembered = createRemembered<string>(clock)
  const throttle = createThrottle(counters)

  const authenticator: Authenticator = {
    async authenticate(headers, address) {
      const basic = readBasic(headers.authorization)
      if (!basic) return undefined
      const looked = users.current()
      const known = looked instanceof Promise ? await looked : looked
      const name = await remembered.ask(`${basic.name}:${basic.password}`, known, () =>
        verify(basic, known, address, headers),
      )
      if (name === undefined) throw new OciError('UNAUTHORIZED', { message: 'wrong user name or password' })
      return { kind: 'user', name, address }
    },
    async standing(principal) {
      const line = principal.kind === 'user' ? (await users.current()).get(principal.name) : undefined
      return line && hash('sha256', line, 'base64') // a hash of a password is nobody else's business
    },
  }

  async function verify(
    { name, password }: Basic,
    known: ReadonlyMap<string, string>,
    address: string,
    headers: IncomingHttpHeaders,
  ) {
    const line = known.get(name)
    // For a name that nobody has the work is the same, so that the time it takes does not tell names.
    const compared = line ?? known.values().next().value
    const isRight = await throttle.attempt(name, address, async () => {
      const fits = compared !== undefined && (await bcrypt.compare(password, compared))
      return fits && line !== undefined
    })
    if (!isRight) log.warn('login.failed', { user: name, requestId: requestIdOf(headers) })
    return isRight ? name : undefined
  }

  return {
    name: 'htpasswd',
    authenticators: [authenticator],
    challenger: { challenge: () => challenge },
    start: users.load,
    stop: async () => bcrypt.stop(),
  }
}
