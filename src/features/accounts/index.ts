import type { Mode } from '../../identity/decide.ts'
import type { Feature, Platform, Serving } from '../feature.ts'
import { createAudit } from './audit.ts'
import { createAuthorizer } from './authorizer.ts'
import { createDirectory } from './directory.ts'
import { createSignIn } from './sign-in.ts'
import { makeAdministrator, offerSetup } from './start.ts'

/** How late a change by another node may be seen: SQLite is asked each time, which costs nothing. */
const lookMs = { sqlite: 0, postgres: 1000 }
/** How late a first account that another process made is seen. */
const firstMs = 1000
const dayInSeconds = 24 * 60 * 60

/**
 * Users, organizations, robots and access tokens, and the one authorizer. While there is no account and nothing is configured,
 * everyone may do everything, as with registry:2, and no request is asked anything.
 */
export function accounts(platform: Platform, { access }: Serving): Feature {
  const { configuration, metadata, accounts: facts, vault, log, clock } = platform
  const hasOutside = configuration.auth?.kind === 'htpasswd' || configuration.auth?.kind === 'silly'
  const directory = createDirectory({
    facts,
    clock,
    hasOutside,
    lookMs: configuration.databaseUrl === undefined ? lookMs.sqlite : lookMs.postgres,
  })
  const audit = createAudit({ facts, log, clock })
  const signIn = createSignIn({ directory, facts, audit, log, clock, hasOutside })
  const authorizer = createAuthorizer({ directory, facts, audit, clock, mode })

  async function mode(): Promise<Mode> {
    if (configuration.access) return configuration.access
    return configuration.auth || (await directory.isAnybodyThere()) ? 'closed' : 'open'
  }

  let isOpen = false
  let lookedAt = 0
  /** Whether nobody need be asked. */
  async function lookWhetherOpen(): Promise<void> {
    lookedAt = clock.now().getTime()
    await directory.look(true)
    isOpen = (await mode()) === 'open' && !configuration.auth && !(await directory.isAnybodyThere())
  }

  return {
    name: 'accounts',
    authenticators: [signIn.authenticator],
    authorizer: {
      ...authorizer,
      isOpen() {
        if (isOpen && clock.now().getTime() - lookedAt >= firstMs)
          void lookWhetherOpen().catch((error: unknown) => log.error('accounts.unreadable', { error: String(error) }))
        return isOpen
      },
    },
    ...(!configuration.auth && { challenger: { challenge: () => 'Basic realm="holdfast"' } }),
    jobs: [
      {
        name: 'audit-retention',
        everySeconds: dayInSeconds,
        run: async () => void (await facts.audit.deleteBefore(clock.now().getTime() - configuration.audit.keepMs)),
      },
    ],
    async api() {
      const { operations } = await import('./operations/index.ts')
      const changed = () => lookWhetherOpen()
      return operations({
        facts,
        vault,
        metadata,
        clock,
        directory,
        audit,
        signIn,
        judge: authorizer.judge,
        changed,
        access,
      })
    },
    async start() {
      if (configuration.admin)
        await makeAdministrator({ facts, admin: configuration.admin, passwords: signIn.passwords, log, clock })
      await lookWhetherOpen()
      if (configuration.access ?? configuration.admin) await offerSetup({ facts, vault, log, clock })
    },
    async stop() {
      await signIn.flush()
      await audit.flush()
    },
  }
}
