import type { Feature, Platform, Serving } from '../feature.ts'
import type { Engine } from './engine.ts'
import { type Pages, pageRoutes } from './pages/index.ts'
import { tellingRefusals } from './wrap.ts'

/** How late a first account that another process made is seen. */
const lookMs = 1000
const hourInSeconds = 60 * 60
const dayInSeconds = 24 * hourInSeconds

/**
 * Users, organizations, robots and access tokens, and the one authorizer. While there is no account and nothing is configured,
 * everyone may do everything, as with registry:2: then no request is asked anything, and nothing of it is in memory.
 */
export function accounts(platform: Platform, { access, baseOf, siblings, counters }: Serving): Feature {
  const { configuration, accounts: facts, vault, log, clock } = platform
  const { auth, admin } = configuration
  /** Whether people sign in that have no account yet. */
  const knowsOthers = [auth, configuration.ldap, configuration.openid].some((one) => one !== undefined)
  let engine: Promise<Engine> | undefined
  let loaded: Engine | undefined
  let pages: Promise<Pages> | undefined
  let isOpen = false
  let lookedAt = 0

  function load(): Promise<Engine> {
    const hasOutside = auth?.kind === 'htpasswd' || auth?.kind === 'silly'
    return (engine ??= import('./engine.ts').then(({ createEngine }) =>
      createEngine({
        platform,
        access,
        baseOf,
        counters,
        hasOutside,
        changed: async () => void (await lookWhetherOpen()),
      }),
    )).then((made) => (loaded = made))
  }

  /** Requests ask it at once: only the first have to wait for it. */
  function ask<Answer>(question: (asked: Engine) => Answer | Promise<Answer>): Answer | Promise<Answer> {
    return loaded ? question(loaded) : load().then(question)
  }

  async function lookWhetherOpen(): Promise<boolean> {
    const asked = performance.now()
    const isAnybodyThere = (await facts.list('account', { kind: 'user' }, { limit: 1 })).length > 0
    isOpen = !knowsOthers && !isAnybodyThere && (configuration.access ?? 'open') === 'open'
    lookedAt = asked
    return isOpen
  }

  return {
    name: 'accounts',
    routes: pageRoutes(async () => (pages ??= (await load()).pages()), configuration.tokens !== undefined),
    wrap: (route) => tellingRefusals(route, (noted) => void load().then(({ noteRefusal }) => noteRefusal(noted))),
    authenticators: [
      {
        authenticate: (...asked) => ask(({ authenticator }) => authenticator.authenticate(...asked)),
        standing: async (principal) => (await load()).authenticator.standing?.(principal),
        redeem: async (code) => (await (await load()).devices()).redeem(code),
      },
    ],
    authorizer: {
      decide: (...asked) => ask(({ authorizer }) => authorizer.decide(...asked)),
      // Nobody is let in by what was so before: however long nobody came, the next one waits for the look.
      isOpen: () => (isOpen && performance.now() - lookedAt >= lookMs ? lookWhetherOpen() : isOpen),
    },
    ...(!auth && { challenger: { challenge: () => 'Basic realm="holdfast"' } }),
    jobs: [
      {
        name: 'audit-retention',
        everySeconds: dayInSeconds,
        run: async () => void (await facts.audit.deleteBefore(clock.now().getTime() - configuration.audit.keepMs)),
      },
      { name: 'sessions', everySeconds: hourInSeconds, run: vault.sweep },
    ],
    session: async (request) => (await load()).sessions.identify(request),
    api: async () => (await load()).operations(),
    async start() {
      if (admin ?? configuration.access) {
        const { makeAdministrator, offerSetup } = await import('./start.ts')
        const { passwords } = await load()
        if (admin) await makeAdministrator({ facts, admin, passwords, log, clock })
        if (siblings.isFirst) await offerSetup({ facts, vault, log, clock })
      }
      await lookWhetherOpen()
      if (!isOpen) await (await load()).start()
    },
    stop: async () => (await engine)?.stop(),
  }
}
