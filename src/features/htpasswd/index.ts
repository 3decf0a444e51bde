import { hash, randomBytes } from 'node:crypto'
import { type Basic, readBasic } from '../../auth/basic.ts'
import type { Authenticator, Authorizer } from '../../auth/types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Feature, Platform } from '../feature.ts'
import { createBcrypt } from './bcrypt.ts'
import { createUsers } from './users.ts'

/** How long a password that was right is not compared again, and how many are remembered. */
const rememberMs = 5 * 60_000
const maxRemembered = 10_000

interface Verified {
  name: string | undefined
  users: ReadonlyMap<string, string>
  until: number
}

/**
 * registry:2's `auth.htpasswd`: whoever is in the file may do everything, nobody else anything. A password is compared once and
 * then remembered for some minutes, as a hash of the header and a key of this process, until the file changes.
 */
export function htpasswd({ configuration, log, clock }: Platform): Feature {
  if (configuration.auth?.kind !== 'htpasswd') return { name: 'htpasswd' }
  const { realm, path } = configuration.auth
  const challenge = `Basic realm="${realm.replaceAll(/[\\"]/g, String.raw`\$&`)}"`
  const bcrypt = createBcrypt()
  const users = createUsers({ path, log, clock, hash: bcrypt.hash })
  const key = randomBytes(32).toString('base64')
  const verified = new Map<string, Verified>()
  const verifying = new Map<string, Promise<Verified>>()

  const authenticator: Authenticator = {
    async authenticate({ authorization }, address) {
      const basic = readBasic(authorization)
      if (!basic) return undefined
      const known = await users.current()
      // Not an Hmac object, which costs more than all the rest of a request; nobody sees the result, so nothing can be appended.
      const mac = hash('sha256', `${key}${basic.name}:${basic.password}`, 'base64')
      const before = verified.get(mac)
      const { name } =
        before?.users === known && before.until > clock.now().getTime() ? before : await verifyOnce(mac, basic, known)
      if (name === undefined) throw new OciError('UNAUTHORIZED', { message: 'wrong user name or password' })
      return { kind: 'user', name, address }
    },
    async standing(principal) {
      const line = principal.kind === 'user' ? (await users.current()).get(principal.name) : undefined
      return line && hash('sha256', line, 'base64') // a hash of a password is nobody else's business
    },
  }

  /** Clients open several connections at once: one comparison serves them all. */
  function verifyOnce(mac: string, basic: Basic, known: Verified['users']): Promise<Verified> {
    const begun = verifying.get(mac)
    if (begun) return begun
    const work = verify(basic, known)
      .then((result) => {
        if (result.name !== undefined) remember(mac, result)
        return result
      })
      .finally(() => verifying.delete(mac))
    verifying.set(mac, work)
    return work
  }

  async function verify({ name, password }: Basic, known: Verified['users']): Promise<Verified> {
    const hash = known.get(name)
    // For a name that nobody has the work is the same, so that the time it takes does not tell names.
    const compared = hash ?? known.values().next().value
    const fits = compared !== undefined && (await bcrypt.compare(password, compared))
    const right = fits && hash !== undefined
    if (!right) log.warn('login.failed', { user: name })
    return { name: right ? name : undefined, users: known, until: clock.now().getTime() + rememberMs }
  }

  function remember(mac: string, result: Verified): void {
    if (verified.size >= maxRemembered) verified.delete(verified.keys().next().value!)
    verified.set(mac, result)
  }

  const authorizer: Authorizer = {
    decide: async ({ kind }) => (kind === 'anonymous' ? 'denied' : 'allowed'),
  }

  return {
    name: 'htpasswd',
    authenticators: [authenticator],
    authorizer,
    challenger: { challenge: () => challenge },
    start: users.load,
    stop: async () => bcrypt.stop(),
  }
}
