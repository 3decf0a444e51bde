import { anyone, type Operation, operation, signedIn } from '../../../api/operation.ts'
import { Problem } from '../../../api/problem.ts'
import { object, text } from '../../../api/schema.ts'
import { accountNameForm, isAccountName } from '../../../identity/names.ts'
import { hashSecret } from '../../../identity/secrets.ts'
import { newAccount } from '../../../metadata/account-facts.ts'
import { hasAdministrator, setupKind } from '../start.ts'
import { type Deps, edit, invalid } from './deps.ts'
import { showToken } from './tokens.ts'
import { expectPassword, showUser } from './users.ts'

const capabilities = ['accounts', 'audit', 'policies', 'sessions', 'passkeys']

/** What this is, who one is, and the first set-up. */
export function sessionOperations(deps: Deps): Operation[] {
  const { facts, vault, clock, directory, signIn, hasOpenId } = deps
  return [
    operation({
      method: 'GET',
      path: '/',
      summary: 'What this API can do',
      access: anyone,
      handle: async () => ({
        body: { name: 'holdfast', capabilities: [...capabilities, ...(hasOpenId ? ['openid'] : [])] },
      }),
    }),

    operation({
      method: 'GET',
      path: '/me',
      summary: 'Who one is here',
      access: signedIn,
      async handle({ principal }) {
        const { kind, name, isAdministrator, owned, organizations, names } = await directory.profileOf(principal)
        const id = principal.kind === 'anonymous' ? undefined : principal.token
        const token = id === undefined ? undefined : await directory.restrictionOf(id)
        return {
          body: {
            kind,
            name,
            isAdministrator,
            organizations: [...organizations].toSorted(),
            owns: [...owned].toSorted(),
            teams: [...names].filter((one) => one.startsWith('team:')).map((one) => one.slice('team:'.length)),
            ...(token && { token: showToken(token) }),
          },
        }
      },
    }),

    operation({
      method: 'POST',
      path: '/setup',
      summary: 'Make the first administrator with the code that the log told',
      access: anyone,
      body: object({ code: text({ max: 100 }), name: text({ max: 100 }), password: text({ max: 1000 }) }),
      replies: { 201: 'Made.' },
      async handle(call) {
        const { code, name, password } = call.body
        const id = hashSecret(code)
        const check = async () => (await vault.get(setupKind, id)) !== undefined
        if (!(await signIn.throttle.attempt('set-up', call.principal.address, check)))
          throw new Problem('forbidden', 'the code is wrong or too old: the next start tells a new one')
        if (!isAccountName(name)) throw invalid('/name', accountNameForm)
        expectPassword(password, name)
        const hashed = await signIn.passwords.hash(password)
        const answer = await edit(deps, call, async () => {
          if (await hasAdministrator(facts)) throw new Problem('conflict', 'there is an administrator already')
          if (await facts.find('account', { name })) throw new Problem('conflict', `${name} is there already`)
          const account = {
            ...newAccount(name, 'user', clock.now().getTime()),
            password: hashed,
            isAdministrator: true,
          }
          return {
            changes: [{ table: 'account', put: account }],
            action: 'user.created',
            target: name,
            detail: { by: 'set-up' },
            answer: { status: 201, body: showUser(account) },
          }
        })
        await vault.delete(setupKind, id)
        return answer
      },
    }),
  ]
}
