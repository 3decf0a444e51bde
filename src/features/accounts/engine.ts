import type { Operation } from '../../api/operation.ts'
import { isEmptyBasic } from '../../auth/basic.ts'
import type { Authenticator } from '../../auth/types.ts'
import type { Mode } from '../../identity/decide.ts'
import type { Platform, Serving } from '../feature.ts'
import { createAudit } from './audit.ts'
import { createAuthorizer } from './authorizer.ts'
import { createCertificates } from './certificates.ts'
import { createDirectory } from './directory.ts'
import type { Devices } from './device/device.ts'
import type { Ldap } from './ldap/index.ts'
import type { OpenId } from './openid/index.ts'
import type { Pages } from './pages/index.ts'
import type { SignInParts } from './parts.ts'
import type { Passkeys } from './passkeys/passkeys.ts'
import { createRefusals } from './refusals.ts'
import { createSessions } from './sessions/sessions.ts'
import { createSignIn } from './sign-in.ts'

/** How late a change by another process may be seen: with SQLite no later than a request takes that asks twice. */
const lookMs = { sqlite: 0.2, postgres: 1000 }

interface Deps extends Pick<Serving, 'access' | 'baseOf' | 'counters'> {
  platform: Platform
  /** Whether there are people whom the database does not know. */
  hasOutside: boolean
  /** Told after each change. */
  changed(): Promise<void>
}

export type Engine = ReturnType<typeof createEngine>

/** All that is needed once somebody signs in, or must. */
export function createEngine({ platform, access, baseOf, counters, hasOutside, changed }: Deps) {
  const { configuration, metadata, accounts: facts, vault, log, clock } = platform
  const isShared = configuration.databaseUrl !== undefined
  const directory = createDirectory({ facts, clock, hasOutside, lookMs: isShared ? lookMs.postgres : lookMs.sqlite })
  const audit = createAudit({ facts, log, clock })
  let ldap: Promise<Ldap> | undefined
  let openid: Promise<OpenId> | undefined
  let devices: Promise<Devices> | undefined
  let passkeys: Promise<Passkeys> | undefined
  const ldapOrNone = configuration.ldap && loadLdap
  const signIn = createSignIn({ directory, facts, audit, log, clock, counters, hasOutside, ldap: ldapOrNone })
  const parts: SignInParts = { facts, vault, audit, throttle: signIn.throttle, log, clock, baseOf }
  const { judge, ...authorizer } = createAuthorizer({ directory, facts, clock, mode })
  const standing = signIn.authenticator.standing!
  const sessions = createSessions({ vault, clock, audit, baseOf, standing })
  const rules = configuration.clientCertificates
  const byCertificate = rules.length > 0 ? createCertificates({ rules, directory, audit, clock }) : undefined
  const refusals = createRefusals({ facts, audit, judge, log, clock })

  /** Once: what is wrong with its configuration is told at the start. */
  function loadLdap(): Promise<Ldap> {
    return (ldap ??= import('./ldap/index.ts').then(({ createLdap }) =>
      createLdap({ configuration: configuration.ldap!, facts, log, clock, changed: () => allChanged() }),
    ))
  }

  function loadOpenId(): Promise<OpenId> {
    const more = { allow: configuration.outgoing.allow, changed: () => allChanged() }
    return (openid ??= import('./openid/index.ts').then(({ createOpenId }) =>
      createOpenId({ configuration: configuration.openid!, ...parts, ...more }),
    ))
  }

  function loadDevices(): Promise<Devices> {
    return (devices ??= import('./device/device.ts').then(({ createDevices }) =>
      createDevices({
        ...{ ...parts, counters, standing },
        async makeToken(account, device) {
          const { makeDeviceToken } = await import('./device/token.ts')
          return makeDeviceToken({ facts, clock, changed: allChanged }, account, device)
        },
      }),
    ))
  }

  function loadPasskeys(): Promise<Passkeys> {
    return (passkeys ??= import('./passkeys/passkeys.ts').then(({ createPasskeys }) => createPasskeys(parts)))
  }

  async function mode(): Promise<Mode> {
    if (configuration.access) return configuration.access
    return configuration.auth || configuration.ldap || configuration.openid || (await directory.isAnybodyThere())
      ? 'closed'
      : 'open'
  }

  async function allChanged(): Promise<void> {
    await directory.look(true)
    await changed()
  }

  return {
    authenticator: byCertificate ? withCertificates(signIn.authenticator, byCertificate) : signIn.authenticator,
    authorizer,
    noteRefusal: refusals.note,
    /** @throws Error about what cannot be used of the configuration */
    async start(): Promise<void> {
      if (configuration.ldap) await loadLdap()
      if (configuration.openid) await loadOpenId()
    },
    passwords: signIn.passwords,
    devices: loadDevices,
    sessions,
    async pages(): Promise<Pages> {
      const { problemPage, signInPages } = await import('./pages/sign-in.ts')
      const { devicePages } = await import('./pages/device.ts')
      const { deviceEndpoint } = await import('./device/endpoint.ts')
      const prefix = configuration.http.prefix.slice(0, -1)
      const provider = configuration.openid && loadOpenId
      const found = await loadDevices()
      const isAnybodyThere = async () => (await mode()) !== 'open' || directory.isAnybodyThere()
      return {
        ...signInPages({ sessions, signIn, openid: provider, prefix, baseOf }),
        ...devicePages({ sessions, devices: found, prefix }),
        ...{ problemPage, endpoint: deviceEndpoint({ devices: found, access, baseOf, isAnybodyThere }) },
      }
    },
    async operations(): Promise<Operation[]> {
      const { operations } = await import('./operations/index.ts')
      const deps = {
        facts,
        vault,
        metadata,
        sizes: platform.sizes,
        clock,
        directory,
        audit,
        refusals,
        signIn,
        sessions,
        passkeys: loadPasskeys,
        judge,
        access,
      }
      return operations({ ...deps, hasOpenId: configuration.openid !== undefined, changed: allChanged })
    },
    async stop(): Promise<void> {
      await signIn.flush()
      await refusals.flush()
      await audit.flush()
    },
  }
}

/** Credentials come first; who sends none is who their certificate says. */
function withCertificates(others: Authenticator, byCertificate: ReturnType<typeof createCertificates>): Authenticator {
  return {
    ...others,
    async authenticate(headers, address, message) {
      const { authorization } = headers
      if (authorization !== undefined && !isEmptyBasic(authorization)) return others.authenticate(headers, address)
      return message && byCertificate(message, address)
    },
  }
}
